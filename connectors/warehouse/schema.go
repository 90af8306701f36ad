package warehouse

import "strings"

// Kind is the physical shape of a column inside a Batch. Every warehouse type
// maps onto one of them; the README's type table says which.
type Kind uint8

const (
	Invalid     Kind = iota
	Bool             // Int: 0 or 1
	Int              // Int: the value
	Float            // Float: the value; Field.Float32 says how many digits it is worth
	Decimal          // text: plain decimal notation (no exponent), or NaN, Infinity, -Infinity
	Text             // text: any string; uuid, enum, inet, range, interval and money are Text as well
	Bytes            // text: raw bytes
	JSON             // text: one JSON value, possibly with insignificant white space
	Date             // Int: days since 1970-01-01
	Time             // Int: microseconds since midnight
	Timestamp        // Int: microseconds since 1970-01-01 00:00 on a clock without zone; Sub: nanoseconds beyond
	TimestampTZ      // Int: microseconds since 1970-01-01 00:00 UTC; Sub: nanoseconds beyond
)

var kindNames = [...]string{"invalid", "bool", "int", "float", "decimal", "text", "bytes", "json", "date", "time", "timestamp", "timestamptz"}

func (k Kind) String() string { return kindNames[k] }

// IsCursor reports whether a column of this kind can order rows by when they
// became visible.
func (k Kind) IsCursor() bool {
	return k == Int || k == Date || k == Timestamp || k == TimestampTZ
}

// isText reports whether values of the kind live in Column.Data.
func (k Kind) isText() bool {
	return k == Decimal || k == Text || k == Bytes || k == JSON
}

// Infinite dates and timestamps: the two ends of the int64 range.
const (
	PosInfinity int64 = 1<<63 - 1
	NegInfinity int64 = -1 << 63
)

// Field describes one column of a result.
type Field struct {
	Name     string
	Kind     Kind
	Type     string // the warehouse's own name of the type, fit for a CAST: "timestamp with time zone"
	Float32  bool   // a Float of single precision: print the shortest text that gives the float32 back
	NotNull  bool   // the warehouse declares that it holds no NULL; false when unknown
	Sortable bool   // the warehouse can ORDER BY it
	// Whole says that a Decimal holds whole numbers alone. The driver fills a column
	// of kind Int with it as well, as far as 64 bits hold them: a cursor's.
	Whole bool
}

// Schema is the columns of a result, in order. It is read-only once made.
type Schema struct {
	Fields []Field
}

// Index returns the position of the column called name, or -1. An exact match
// wins; failing that, a match that differs only in letter case, if there is
// exactly one, because warehouses fold unquoted names differently.
func (s *Schema) Index(name string) int {
	folded := -1
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
		if strings.EqualFold(s.Fields[i].Name, name) {
			if folded >= 0 {
				folded = -2
			} else if folded == -1 {
				folded = i
			}
		}
	}
	if folded < 0 {
		return -1
	}
	return folded
}

// Fits reports whether a batch was made for these kinds of columns: a result can
// have others than were described, when a table is altered in between.
func (s *Schema) Fits(b *Batch) error {
	ok := len(b.Cols) == len(s.Fields)
	for i := 0; ok && i < len(b.Cols); i++ {
		ok = s.Fields[i].fills(b.Cols[i].Kind)
	}
	if !ok {
		return Errorf(ClassSchema, "run again", "the columns of the result are not those that were described")
	}
	return nil
}

// fills reports whether a driver fills a column of a kind with the field's values.
func (f *Field) fills(k Kind) bool { return f.Kind == k || f.Whole && k == Int }

// Names lists the column names in order.
func (s *Schema) Names() []string {
	names := make([]string, len(s.Fields))
	for i := range s.Fields {
		names[i] = s.Fields[i].Name
	}
	return names
}

package warehousetest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// cursorTable is a table with a cursor of one kind, on which every way to read
// rows in order is tried.
type cursorTable struct {
	*Harness
	kind   warehouse.Kind
	src    warehouse.Source
	schema *warehouse.Schema
	values []string // cursor text, ascending
}

// keyPairs are the keys of the rows that share each cursor value: distinct ones, NULL in either and
// in both keys, and rows that repeat another's keys.
var keyPairs = [][2]string{
	{"1", "a"}, {"2", "a"}, {"2", "b"}, {"2", "b"}, {"2", "b"}, {"-7", "z"},
	{"1", "NULL"}, {"1", "NULL"}, {"NULL", "a"}, {"NULL", "NULL"}, {"NULL", "NULL"},
}

func (h *Harness) cursorTable(t *testing.T, kind warehouse.Kind) *cursorTable {
	c := &cursorTable{Harness: h, kind: kind, values: map[warehouse.Kind][]string{
		warehouse.TimestampTZ: {"1969-12-31T23:59:59.999999Z", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000001Z", "2026-01-31T12:00:00.5Z"},
		warehouse.Timestamp:   {"1969-12-31T23:59:59.999999", "2026-01-31T12:00:00", "2026-01-31T12:00:00.000001", "2026-01-31T12:00:00.5"},
		warehouse.Date:        {"1969-12-31", "2026-01-31", "2026-02-01", "2028-02-29"},
		warehouse.Int:         {"-9007199254740993", "9", "10", "9007199254740993"},
	}[kind]}
	var rows [][]*string
	add := func(values ...string) {
		row := make([]*string, len(values))
		for i, v := range values {
			if v != "NULL" {
				row[i] = &v
			}
		}
		rows = append(rows, row)
	}
	for i := range keyPairs { // not in order
		for _, at := range c.values {
			pair := keyPairs[(i*7)%len(keyPairs)]
			add(at, pair[0], pair[1], at+pair[0]+pair[1])
		}
	}
	add("NULL", "1", "a", "no cursor")
	c.src = h.Create(t, []Column{{Name: "at", Kind: kind}, {Name: "k1", Kind: warehouse.Int}, {Name: "k2", Kind: warehouse.Text},
		{Name: "payload", Kind: warehouse.Text}}, rows)
	c.src.Cursor = "at"
	c.schema = h.schema(t, c.src)
	return c
}

func (c *cursorTable) spec() warehouse.ReadSpec {
	return warehouse.ReadSpec{Source: c.src, Cursor: "at", Keys: []string{"k1", "k2"}}
}

func (c *cursorTable) bounds(t *testing.T) {
	v := c.values
	n := len(keyPairs)
	for _, test := range []struct {
		name             string
		from, to, before *string
		want             int
	}{
		{"none", nil, nil, nil, 4 * n},
		{"from is inclusive", &v[1], nil, nil, 3 * n},
		{"to is inclusive", nil, &v[2], nil, 3 * n},
		{"before is exclusive", nil, nil, &v[2], 2 * n},
		{"all", &v[0], &v[2], &v[1], n},
		{"one value", &v[1], &v[1], nil, n},
		{"nothing", &v[2], &v[1], nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := c.spec()
			spec.From, spec.To, spec.Before = test.from, test.to, test.before
			if got := c.read(t, c.schema, spec); len(got.rows) != test.want {
				t.Errorf("read %d rows, want %d", len(got.rows), test.want)
			}
		})
	}
}

func (c *cursorTable) max(t *testing.T) {
	v := c.values
	f := c.schema.Fields[c.schema.Index("at")]
	above := map[warehouse.Kind]string{warehouse.TimestampTZ: "2027-01-01T00:00:00Z", warehouse.Timestamp: "2027-01-01T00:00:00",
		warehouse.Date: "2027-01-01", warehouse.Int: "11"}[c.kind]
	top := v[3]
	if above < top || c.kind == warehouse.Int {
		top = v[2]
	}
	for _, test := range []struct {
		name     string
		from, to *string
		want     string
	}{
		{"all", nil, nil, v[3]},
		{"a limit between values", nil, &above, top},
		{"a limit that is a value", &v[0], &v[1], v[1]},
		{"no row within", &v[2], &v[1], ""},
	} {
		got, err := warehouse.MaxCursor(t.Context(), c.Driver, c.src, f, test.from, test.to)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if text(got) != test.want {
			t.Errorf("%s: MaxCursor = %q, want %q", test.name, text(got), test.want)
		}
	}
}

// least checks the questions that a window is cut by.
func (c *cursorTable) least(t *testing.T) {
	v, f := c.values, c.schema.Fields[c.schema.Index("at")]
	if got, err := warehouse.MinCursor(t.Context(), c.Driver, c.src, f, nil, &v[2]); err != nil || text(got) != v[0] {
		t.Errorf("MinCursor = %q, %v, want %q", text(got), err, v[0])
	}
	spec := c.spec()
	spec.From, spec.To = &v[0], &v[1]
	n := len(c.read(t, c.schema, spec).rows)
	within := warehouse.Range{From: spec.From, To: spec.To}
	for most, want := range map[int]int{1: 1, n: n, n + 1: n, 0: n} {
		if got, err := warehouse.Count(t.Context(), c.Driver, c.src, &f, within, most); err != nil || got != int64(want) {
			t.Errorf("Count of %d rows up to %d = %d, %v", n, most, got, err)
		}
	}
	spec.To, spec.Before = nil, &v[1]
	n = len(c.read(t, c.schema, spec).rows)
	if got, err := warehouse.Count(t.Context(), c.Driver, c.src, &f, warehouse.Range{From: &v[0], Before: &v[1]}, 0); err != nil || got != int64(n) {
		t.Errorf("Count before the second value = %d, %v, want %d", got, err, n)
	}
	n = len(c.read(t, c.schema, warehouse.ReadSpec{Source: c.src}).rows)
	if got, err := warehouse.Count(t.Context(), c.Driver, c.src, nil, warehouse.Range{}, 0); err != nil || got != int64(n) {
		t.Errorf("Count of all rows = %d, %v, want %d", got, err, n)
	}
}

func (c *cursorTable) nulls(t *testing.T) {
	for column, want := range map[string]bool{"at": true, "payload": false} {
		got, err := warehouse.HasNullCursor(t.Context(), c.Driver, c.src, column)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("HasNullCursor(%q) = %t, want %t", column, got, want)
		}
	}
}

func (c *cursorTable) filters(t *testing.T) {
	spec := c.spec()
	spec.Where = map[string]string{"k1": "2", "k2": "a"}
	if got := c.read(t, c.schema, spec); len(got.rows) != len(c.values) {
		t.Errorf("read %d rows where k1 = 2 and k2 = a, want %d", len(got.rows), len(c.values))
	}
	spec.AnyOf = []map[string]string{{"at": c.values[0]}, {"at": c.values[1], "k1": "2"}, {"at": c.values[2], "k1": "1"}} // k1 is 2 by the other conditions
	if got := c.read(t, c.schema, spec); len(got.rows) != 2 {
		t.Errorf("read %d rows of two values, want 2", len(got.rows))
	}
	spec = c.spec()
	spec.Limit = 3
	if got := c.read(t, c.schema, spec); len(got.rows) != 3 {
		t.Errorf("read %d rows of limit 3", len(got.rows))
	}
}

func (c *cursorTable) order(t *testing.T) {
	got := c.read(t, c.schema, c.spec())
	if !slices.IsSortedFunc(got.rows, c.compare) {
		t.Errorf("rows are not in (cursor, key) order:\n%s", lines(got.rows))
	}
	var twins []int
	for i := 1; i < len(got.rows); i++ {
		row := got.rows[i]
		if c.compare(got.rows[i-1], row) == 0 && row[1] != "NULL" && row[2] != "NULL" {
			twins = append(twins, i)
		}
	}
	if diff := gocmp.Diff(twins, got.twins); diff != "" {
		t.Errorf("twins (-want +got):\n%s", diff)
	}
	if len(twins) != 2*len(c.values) {
		t.Errorf("%d twins, want %d", len(twins), 2*len(c.values))
	}
}

// compare orders rendered rows by (at, k1, k2), NULLs last.
func (c *cursorTable) compare(a, b []string) int {
	return cmp.Or(cmp.Compare(slices.Index(c.values, a[0]), slices.Index(c.values, b[0])),
		compareKey(a[1], b[1], true), compareKey(a[2], b[2], false))
}

func compareKey(a, b string, numeric bool) int {
	if a == "NULL" || b == "NULL" {
		return cmp.Compare(btoi(a == "NULL"), btoi(b == "NULL"))
	}
	if numeric {
		x, _ := strconv.Atoi(a) // the table's own keys
		y, _ := strconv.Atoi(b)
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// resume splits the read behind every row: the two parts make up the whole.
func (c *cursorTable) resume(t *testing.T) {
	spec := c.spec()
	spec.To = &c.values[3]
	whole := c.read(t, c.schema, spec)
	for at := 1; at <= len(whole.rows); at++ {
		spec.Limit, spec.After = at, nil
		first := c.read(t, c.schema, spec)
		spec.Limit, spec.After = 0, first.last
		second := c.read(t, c.schema, spec)
		got := first.and(second)
		if diff := gocmp.Diff(whole.rows, got.rows); diff != "" {
			t.Fatalf("split after row %d, at %s (-whole +parts):\n%s", at, place(first.last), diff)
		}
		if diff := gocmp.Diff(whole.twins, got.twins); diff != "" {
			t.Fatalf("twins, split after row %d, at %s (-whole +parts):\n%s", at, place(first.last), diff)
		}
		if second.last != nil {
			if diff := gocmp.Diff(whole.last, second.last); diff != "" {
				t.Fatalf("last position, split after row %d (-whole +parts):\n%s", at, diff)
			}
		}
	}
	// In three parts, the second of one row, so that a position is carried on.
	for at := 1; at+1 < len(whole.rows); at++ {
		spec.Limit, spec.After = at, nil
		first := c.read(t, c.schema, spec)
		spec.Limit, spec.After = 1, first.last
		second := c.read(t, c.schema, spec)
		spec.Limit, spec.After = 0, second.last
		got := first.and(second).and(c.read(t, c.schema, spec))
		if diff := gocmp.Diff(whole, got); diff != "" {
			t.Fatalf("split around row %d (-whole +parts):\n%s", at, diff)
		}
	}
}

// gone resumes at a row that was deleted since: nothing else is dropped for it.
func (c *cursorTable) gone(t *testing.T) {
	key1, key2 := "2", "aa" // between (2, a) and (2, b)
	spec := c.spec()
	spec.After = &warehouse.Position{Cursor: &c.values[3], Keys: []*string{&key1, &key2}, Seen: 3}
	got := c.read(t, c.schema, spec)
	want := 0
	for _, pair := range keyPairs {
		if compareKey(pair[0], key1, true) > 0 || pair[0] == key1 && compareKey(pair[1], key2, false) > 0 {
			want++
		}
	}
	if len(got.rows) != want || want == 0 {
		t.Errorf("read %d rows behind a row that is gone, want %d:\n%s", len(got.rows), want, lines(got.rows))
	}
}

// faults loses the connection again and again; every row comes once.
func (c *cursorTable) faults(t *testing.T) {
	whole := c.read(t, c.schema, c.spec())
	faulty := &Faulty{
		Driver: c.Driver,
		Err:    warehouse.Errorf(warehouse.ClassTransient, "", "connection lost"),
		After: func(result int) int {
			if result < 2 {
				return result * len(whole.rows) // before the first row, at the end
			}
			return -1
		},
	}
	h := Harness{Driver: faulty}
	if diff := gocmp.Diff(whole, h.read(t, c.schema, c.spec())); diff != "" {
		t.Errorf("a read with faults differs (-without +with):\n%s", diff)
	}
	if got := faulty.Results(); got != 3 {
		t.Errorf("%d results were opened, want 3", got)
	}
}

func (c *cursorTable) unordered(t *testing.T) {
	got := c.read(t, c.schema, c.spec())
	if got.last != nil || len(got.twins) > 0 {
		t.Errorf("an unordered read has position %s and twins %v, want none", place(got.last), got.twins)
	}
	spec := c.spec()
	spec.After = &warehouse.Position{Cursor: &c.values[0], Keys: []*string{nil, nil}}
	if _, err := warehouse.NewReader(c.Driver, c.schema, spec); err == nil {
		t.Error("a position is accepted where rows have no order")
	}
	spec = c.spec()
	spec.InOrder = true
	sorted := c.read(t, c.schema, spec)
	at := c.schema.Index(spec.Cursor)
	kind := c.schema.Fields[at].Kind
	for i := 1; i < len(sorted.rows); i++ {
		before, err1 := warehouse.ParseCursor(kind, sorted.rows[i-1][at])
		after, err2 := warehouse.ParseCursor(kind, sorted.rows[i][at])
		if err := errors.Join(err1, err2); err != nil || after.Before(before) {
			t.Errorf("in order, row %d has the cursor %s and the next %s (%v)", i-1, sorted.rows[i-1][at], sorted.rows[i][at], err)
		}
	}
	if len(sorted.rows) != len(got.rows) || sorted.last != nil {
		t.Errorf("in order there are %d rows and position %s, want %d rows and none", len(sorted.rows), place(sorted.last), len(got.rows))
	}
}

// keysOnly reads in the order of a key alone, one that allows NULL and one that does not.
func (h *Harness) keysOnly(t *testing.T) {
	for _, notNull := range []bool{false, true} {
		t.Run(fmt.Sprintf("not null %t", notNull), func(t *testing.T) {
			var rows [][]*string
			for _, k := range []string{"10", "9", "-1", "9", "2", "9"} {
				rows = append(rows, []*string{&k, &k})
			}
			if !notNull {
				rows = append(rows, []*string{nil, nil}, []*string{nil, nil})
			}
			src := h.Create(t, []Column{{Name: "a", Kind: warehouse.Int, NotNull: notNull}, {Name: "b", Kind: warehouse.Text, NotNull: notNull}}, rows)
			schema := h.schema(t, src)
			spec := warehouse.ReadSpec{Source: src, Keys: []string{"a", "b"}}
			whole := h.read(t, schema, spec)
			if len(whole.rows) != len(rows) || whole.rows[0][0] != "-1" || whole.rows[5][0] != "10" {
				t.Errorf("rows out of order:\n%s", lines(whole.rows))
			}
			for at := 1; at <= len(whole.rows); at++ {
				spec.Limit, spec.After = at, nil
				first := h.read(t, schema, spec)
				spec.Limit, spec.After = 0, first.last
				got := first.and(h.read(t, schema, spec))
				if diff := gocmp.Diff(whole.rows, got.rows); diff != "" {
					t.Fatalf("split after row %d (-whole +parts):\n%s", at, diff)
				}
			}
		})
	}
}

// reading is what a Reader returned.
type reading struct {
	rows  [][]string
	twins []int // of all rows
	last  *warehouse.Position
}

func (r reading) and(next reading) reading {
	sum := reading{rows: slices.Concat(r.rows, next.rows), twins: slices.Clone(r.twins), last: cmp.Or(next.last, r.last)}
	for _, twin := range next.twins {
		sum.twins = append(sum.twins, len(r.rows)+twin)
	}
	return sum
}

// Equal is for cmp, which does not look into unexported fields.
func (r reading) Equal(other reading) bool {
	return gocmp.Equal(r.rows, other.rows) && gocmp.Equal(r.twins, other.twins) && gocmp.Equal(r.last, other.last)
}

func (h *Harness) read(t *testing.T, schema *warehouse.Schema, spec warehouse.ReadSpec) reading {
	t.Helper()
	reader, err := warehouse.NewReader(h.Driver, schema, spec)
	if err != nil {
		t.Fatalf("NewReader: %v", err)
	}
	defer func() {
		if err := reader.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	var got reading
	b := warehouse.NewBatch(schema)
	defer b.Reset()
	for {
		err := reader.Next(t.Context(), b)
		if err == io.EOF {
			return got
		}
		if err != nil {
			sql, args := reader.SQL()
			t.Fatalf("Next: %v\n%s\n%+v", err, sql, args)
		}
		part := reading{last: b.Position, twins: b.Twins}
		for i := range b.Len() {
			part.rows = append(part.rows, RenderRow(b, i))
		}
		got = got.and(part)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func place(p *warehouse.Position) string {
	if p == nil {
		return "nowhere"
	}
	s := text(p.Cursor)
	for _, k := range p.Keys {
		s += "|" + text(k)
	}
	return fmt.Sprintf("%s (seen %d)", s, p.Seen)
}

func lines(rows [][]string) string {
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintln(&b, strings.Join(row, " | "))
	}
	return b.String()
}

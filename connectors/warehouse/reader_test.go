package warehouse_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

var schema = &warehouse.Schema{Fields: []warehouse.Field{
	{Name: "at", Kind: warehouse.Int, Type: "bigint", Sortable: true},
	{Name: "id", Kind: warehouse.Text, Type: "text", Sortable: true},
	{Name: "doc", Kind: warehouse.JSON, Type: "json"},
}}

func row(at int, id any) warehousetest.Row { return warehousetest.Row{at, id, nil} }

// lost is a connection that breaks after n rows.
func lost(n int, rows ...warehousetest.Row) *warehousetest.Rows {
	r := warehousetest.NewRows(schema, rows...)
	r.FailAfter, r.Fail = n, warehouse.Errorf(warehouse.ClassTransient, "", "connection lost")
	return r
}

// script answers queries in turn; an answer is Rows or an error.
type script struct {
	*warehousetest.Memory
	args [][]string
}

func newScript(answers ...any) *script {
	s := &script{}
	s.Memory = &warehousetest.Memory{Answer: func(_ string, args []warehouse.Arg) (warehouse.Rows, error) {
		texts := make([]string, len(args))
		for i, a := range args {
			texts[i] = a.Text
		}
		s.args = append(s.args, texts)
		i := min(len(s.args), len(answers)) - 1 // the last one stays
		if err, ok := answers[i].(error); ok {
			return nil, err
		}
		return answers[i].(warehouse.Rows), nil
	}}
	return s
}

var byCursor = warehouse.ReadSpec{Source: warehouse.Source{Table: "t"}, Cursor: "at", Keys: []string{"id"}}

// batches reads to the end and returns at|id of every row, with a * for twins.
func batches(ctx context.Context, t *testing.T, d warehouse.Driver, spec warehouse.ReadSpec) (got [][]string, last *warehouse.Position, err error) {
	t.Helper()
	r, err := warehouse.NewReader(d, schema, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := warehouse.NewBatch(schema)
	for {
		if err := r.Next(ctx, b); err == io.EOF {
			return got, last, nil
		} else if err != nil {
			if b.Len() > 0 {
				t.Errorf("Next returned %d rows with an error", b.Len())
			}
			return got, last, err
		}
		var rows []string
		for i := range b.Len() {
			s := strings.Join(warehousetest.RenderRow(b, i)[:2], "|")
			for _, twin := range b.Twins {
				if twin == i {
					s += "*"
				}
			}
			rows = append(rows, s)
		}
		got, last = append(got, rows), b.Position
	}
}

func TestReaderGoesOnAfterAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Two rows a batch; the second batch is lost, half read. The read goes on
		// at the last row returned, one of two that share its place.
		first := lost(3, row(1, "a"), row(1, "a"), row(2, "b"), row(3, "c"))
		first.BatchRows = 2
		second := warehousetest.NewRows(schema, row(1, "a"), row(1, "a"), row(1, "a"), row(2, "b"), row(3, nil), row(3, nil))
		d := newScript(first, second)
		got, last, err := batches(t.Context(), t, d, byCursor)
		if err != nil {
			t.Fatal(err)
		}
		want := [][]string{{"1|a", "1|a*"}, {"1|a*", "2|b", "3|NULL", "3|NULL"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1", "1", "1", "a"}, d.args[1]); diff != "" {
			t.Errorf("arguments of the second query:\n%s", diff)
		}
		if last.Keys[0] != nil || last.Seen != 2 {
			t.Errorf("last position = %+v, want two rows seen of a NULL key", last)
		}
		if !first.Closed() || !second.Closed() {
			t.Error("a result was left open")
		}
	})
}

func TestReaderGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		d := newScript(lost(0))
		_, _, err := batches(t.Context(), t, d, byCursor)
		if warehouse.ClassOf(err) != warehouse.ClassTransient || !strings.Contains(err.Error(), "gave up after 12 tries") {
			t.Errorf("error = %v, want the last fault and how often it was tried", err)
		}
		if took := time.Since(begun); len(d.args) != 12 || took < 20*time.Second || took > 2*time.Minute {
			t.Errorf("%d tries in %v, want 12 in about a minute", len(d.args), took)
		}
	})
}

// Each batch that arrives gives the read all its tries back.
func TestReaderKeepsTryingWhileItProgresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answers []any
		for i := range 50 {
			answers = append(answers, lost(2, row(i, "a"), row(i+1, "a"))) // row i was read before
		}
		for _, r := range answers {
			r.(*warehousetest.Rows).BatchRows = 2
		}
		answers = append(answers, warehousetest.NewRows(schema))
		got, _, err := batches(t.Context(), t, newScript(answers...), byCursor)
		if err != nil || len(got) != 50 {
			t.Errorf("%d batches, %v, want 50", len(got), err)
		}
	})
}

func TestReaderRetriesOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	transient := warehouse.Errorf(warehouse.ClassTransient, "", "too many connections")
	unreachable := warehouse.Errorf(warehouse.ClassUnreachable, "", "connection refused")
	query := warehouse.Errorf(warehouse.ClassQuery, "", "division by zero")
	whole := warehousetest.NewRows(schema, row(1, "a"))
	noKeys := byCursor
	noKeys.Keys = nil
	broken := func() *warehousetest.Rows {
		r := lost(1, row(1, "a"))
		r.BatchRows = 1
		return r
	}
	for name, test := range map[string]struct {
		spec    warehouse.ReadSpec
		answers []any
		queries int
		err     error
	}{
		"busy at first":            {byCursor, []any{transient, transient, whole}, 3, nil},
		"not there at first":       {byCursor, []any{unreachable}, 1, unreachable},
		"gone for a while":         {byCursor, []any{broken(), unreachable, unreachable, whole}, 4, nil},
		"a fault of the query":     {byCursor, []any{query}, 1, query},
		"no order, no rows so far": {noKeys, []any{lost(0), warehousetest.NewRows(schema)}, 2, nil},
		"no order, amid the rows":  {noKeys, []any{broken()}, 1, broken().Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newScript(test.answers...)
				_, _, err := batches(t.Context(), t, d, test.spec)
				if (err == nil) != (test.err == nil) || err != nil && err.Error() != test.err.Error() {
					t.Errorf("error = %v, want %v", err, test.err)
				}
				if len(d.args) != test.queries {
					t.Errorf("%d queries, want %d", len(d.args), test.queries)
				}
			})
		})
	}
}

func TestReaderStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		_, _, err := batches(ctx, t, newScript(lost(0)), byCursor)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("error after %v = %v, want the context's at once", time.Since(begun), err)
		}
	})
}

func TestReaderDropsOverBatches(t *testing.T) {
	t.Parallel()
	rows := warehousetest.NewRows(schema, row(1, nil), row(1, nil), row(1, nil), row(1, nil), row(1, nil), row(2, "a"))
	rows.BatchRows = 2
	spec := byCursor
	one := "1"
	spec.After = &warehouse.Position{Cursor: &one, Keys: []*string{nil}, Seen: 3}
	got, last, err := batches(t.Context(), t, newScript(rows), spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"1|NULL"}, {"1|NULL", "2|a"}}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if last.Seen != 1 {
		t.Errorf("last position = %+v", last)
	}
}

func TestReaderLimit(t *testing.T) {
	t.Parallel()
	// The row that was read before counts on top of the limit, and is gone.
	spec := byCursor
	one, a := "1", "a"
	spec.After = &warehouse.Position{Cursor: &one, Keys: []*string{&a}, Seen: 1}
	spec.Limit = 2
	d := newScript(warehousetest.NewRows(schema, row(2, "a"), row(3, "a"), row(4, "a")))
	got, _, err := batches(t.Context(), t, d, spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"2|a", "3|a"}}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if sql := d.Queries()[0]; !strings.HasSuffix(sql, "LIMIT 3") {
		t.Errorf("the query does not end in LIMIT 3:\n%s", sql)
	}
}

func TestNewReaderRefuses(t *testing.T) {
	t.Parallel()
	one := "1"
	for name, test := range map[string]struct {
		spec      warehouse.ReadSpec
		class     warehouse.Class
		err, hint string
	}{
		"missing cursor":     {warehouse.ReadSpec{Cursor: "att"}, warehouse.ClassSchema, `no column "att"`, "did you mean \"at\"?"},
		"unlike any":         {warehouse.ReadSpec{Keys: []string{"something_else"}}, warehouse.ClassSchema, `"something_else"`, "at, id, doc"},
		"text as cursor":     {warehouse.ReadSpec{Cursor: "id"}, warehouse.ClassSchema, `"id" has type text`, "timestamp, date or integer"},
		"json as key":        {warehouse.ReadSpec{Keys: []string{"doc"}}, warehouse.ClassSchema, `"doc" has type json`, "sorts"},
		"missing filter":     {warehouse.ReadSpec{Where: map[string]string{"iid": "1"}}, warehouse.ClassSchema, `"iid"`, "did you mean \"id\"?"},
		"bounds, no cursor":  {warehouse.ReadSpec{From: &one}, warehouse.ClassConfig, "bounds", "cursor column"},
		"position, no keys":  {warehouse.ReadSpec{Cursor: "at", After: &warehouse.Position{Cursor: &one}}, warehouse.ClassConfig, "no order", "start"},
		"another's position": {warehouse.ReadSpec{Cursor: "at", Keys: []string{"id"}, After: &warehouse.Position{Cursor: &one}}, warehouse.ClassConfig, "does not fit", "start"},
	} {
		test.spec.Source.Table = "t"
		_, err := warehouse.NewReader(&warehousetest.Memory{}, schema, test.spec)
		var e *warehouse.Error
		if !errors.As(err, &e) || e.Class != test.class || !strings.Contains(err.Error(), test.err) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s: error %v (%+v), want class %d, %q with hint %q", name, err, e, test.class, test.err, test.hint)
		}
	}
	if _, err := warehouse.NewReader(&warehousetest.Memory{}, schema, warehouse.ReadSpec{Cursor: "AT", Keys: []string{"Id"}, After: &warehouse.Position{}}); err != nil {
		t.Errorf("an empty position and other letter case: %v", err)
	}
}

// The columns are checked each time the read is opened: they may have changed.
func TestReaderNoticesAChangedType(t *testing.T) {
	t.Parallel()
	changed := &warehouse.Schema{Fields: append([]warehouse.Field(nil), schema.Fields...)}
	changed.Fields[1].Kind = warehouse.Decimal
	_, _, err := batches(t.Context(), t, newScript(warehousetest.NewRows(changed)), byCursor)
	if warehouse.ClassOf(err) != warehouse.ClassSchema {
		t.Errorf("error = %v, want one of the schema", err)
	}
}

// Where rows come in no order, columns may be lent from the middle of an array.
func TestBatchesOfLentColumns(t *testing.T) {
	t.Parallel()
	lent := &lentRows{}
	d := newScript(warehouse.Rows(lent))
	spec := byCursor
	two, b := "2", "b"
	spec.After = &warehouse.Position{Cursor: &two, Keys: []*string{&b}, Seen: 1}
	got, _, err := batches(t.Context(), t, d, spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"2|b*", "3|NULL"}}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if lent.released != 1 {
		t.Errorf("memory was given back %d times, want once", lent.released)
	}
}

// lentRows lends one batch of columns as an Arrow driver would: rows 1 to 3 of
// arrays of four values.
type lentRows struct{ filled, released int }

func (l *lentRows) Schema() *warehouse.Schema { return schema }
func (l *lentRows) Close() error              { return nil }
func (l *lentRows) Fill(_ context.Context, b *warehouse.Batch) error {
	if l.filled++; l.filled > 1 {
		return io.EOF
	}
	b.Cols[0].LendInts([]int64{1, 2, 2, 3}[1:])
	b.Cols[1].LendText([]byte("abb"), []int32{0, 1, 2, 3, 3}[1:])
	b.Cols[1].LendValid([]byte{0b0111}, 1)
	b.Cols[2].Offsets, b.Cols[2].Valid = []int32{0, 0, 0, 0}, []byte{0}
	b.Lend(3, func() { l.released++ })
	return nil
}

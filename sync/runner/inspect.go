package runner

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// Inspection is a sync held against the live schema.
type Inspection struct {
	Schema     *warehouse.Schema
	Properties []mapping.Property
	Keys       []string
	Warnings   []string
}

// Inspect holds a sync against the warehouse, as check does: columns, types,
// NULL cursors, and what the warehouse cannot tell us. It changes nothing.
func Inspect(ctx context.Context, d warehouse.Driver, s Sync) (*Inspection, error) {
	w := &work{Runner: &Runner{Driver: d}, sync: &s, cursor: -1, report: &Report{}}
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	if err := w.noNullCursor(ctx); err != nil {
		return nil, err
	}
	// A reader refuses keys that cannot be sorted; opening it sends nothing.
	r, err := warehouse.NewReader(d, w.schema, w.readSpec())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	x := &Inspection{Schema: w.schema, Properties: w.plan.Properties(), Keys: w.plan.KeyColumns()}
	if w.cursor >= 0 {
		x.Warnings, err = w.warnings(ctx)
	}
	return x, err
}

// warnings are the ways in which rows could come late unseen.
func (w *work) warnings(ctx context.Context) ([]string, error) {
	var list []string
	f := w.schema.Fields[w.cursor]
	clock, err := w.Driver.Clock(ctx)
	if err != nil {
		return nil, err
	}
	if clock.Blind != "" && f.Kind != warehouse.Int {
		list = append(list, fmt.Sprintf("transactions that are still writing cannot be seen (%s): rows that commit later than the lookback of %s would be missed; grant pg_read_all_stats, or raise cursor.lookback above the longest transaction", clock.Blind, w.sync.Cursor.Lookback))
	}
	if f.Kind == warehouse.Timestamp && w.sync.Cursor.Lookback < time.Hour && hasDST(w.sync.Spec.Location, time.Now()) {
		list = append(list, fmt.Sprintf("the cursor %q has no zone and %s has daylight saving: in the hour that comes twice rows can sort behind the mark; raise cursor.lookback to 1h or more, or use a timestamp with zone", f.Name, w.sync.Spec.Location))
	}
	t, err := warehouse.DescribeTable(ctx, w.Driver, w.sync.Source)
	if err != nil || t == nil {
		return list, err
	}
	if !slices.Contains(t.Indexed, f.Name) {
		list = append(list, fmt.Sprintf("no index begins with the cursor %q: every run reads and sorts the whole table", f.Name))
	}
	return list, nil
}

// hasDST reports whether clocks change within a year of now.
func hasDST(loc *time.Location, now time.Time) bool {
	_, first := now.In(loc).Zone()
	for month := 1; month < 12; month++ {
		if _, off := now.AddDate(0, month, 0).In(loc).Zone(); off != first {
			return true
		}
	}
	return false
}

// Sample is one row as it would be sent: a record, or the reject it would become.
type Sample struct {
	Key       []byte // JSON
	DerivedID string
	Record    []byte // nil for a reject
	More      []byte // the row's second record, if it has one
	Reject    *mapping.Reject
}

// Preview encodes the first n rows, or those where the given columns have the
// given values. Nothing is sent.
func Preview(ctx context.Context, d warehouse.Driver, s Sync, n int, where map[string]string) ([]Sample, error) {
	w := &work{Runner: &Runner{Driver: d}, sync: &s, cursor: -1, report: &Report{}}
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	spec := w.readSpec()
	spec.Limit, spec.Where = n, where
	reader, err := warehouse.NewReader(d, w.schema, spec)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var list []Sample
	b := warehouse.NewBatch(w.schema)
	for len(list) < n {
		b.Reset()
		if err := reader.Next(ctx, b); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		for row := 0; row < b.Len() && len(list) < n; row++ {
			list = append(list, w.sample(b, row))
		}
	}
	return list, nil
}

func (w *work) sample(b *warehouse.Batch, row int) Sample {
	x := Sample{Key: w.plan.Key(b, row, nil)}
	var out mapping.Row
	record, bad := w.plan.Append(nil, b, row, &out)
	if bad != nil {
		r := *bad
		x.Reject = &r
		return x
	}
	x.Record, x.DerivedID = record, string(w.plan.DerivedID(b, row, nil))
	if out.More {
		x.More = w.plan.AppendMore(nil, b, row)
	}
	return x
}

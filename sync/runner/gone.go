package runner

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// deleteGone deletes the profiles whose rows a complete read did not see. An
// empty read deletes nothing: a table that is being rebuilt is no order to
// empty the project.
func (a *attempt) deleteGone(ctx context.Context) error {
	if a.journal.total().Rows == 0 {
		a.note("the source is empty: no profile is deleted")
		return nil
	}
	g := &gone{attempt: a}
	err := a.pipe(ctx, g, goneSchema, g, g)
	a.report.Deleted += g.deleted
	a.again = a.again || g.refused
	return err
}

var goneSchema = &warehouse.Schema{Fields: []warehouse.Field{{Name: "key", Kind: warehouse.Int}, {Name: "ident", Kind: warehouse.Text}}}

// gone is source, encoder and journal of the deletions.
type gone struct {
	*attempt
	after   uint64
	batch   *warehouse.Batch
	asking  *departed
	settled []uint64
	deleted int64
	refused bool // a deletion, which the next run asks for again
}

func (g *gone) Next(ctx context.Context, b *warehouse.Batch) error {
	page, err := g.Store.Unseen(ctx, g.target.ID, g.run.Seq, g.after, warehouse.MaxBatchRows)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		return io.EOF
	}
	for _, h := range page {
		b.Cols[0].AppendInt(int64(h.Key))
		b.Cols[1].AppendText([]byte(h.Ident))
		b.EndRow()
	}
	g.after = page[len(page)-1].Key
	return nil
}

// departed is the note of a batch of deletions: the rows' keys, 0 for those that
// stay known, and how many of them have a profile to delete.
type departed struct {
	keys    []uint64
	asked   []bool
	refused atomic.Bool
}

// Refuse leaves the profile be: there is no row to blame, and the key stays
// known, so that the next run asks again.
func (d *departed) Refuse(row int, _ []byte, _ mixpanel.Refusal) {
	d.keys[row] = 0
	d.refused.Store(true)
}

func (g *gone) Open(_ context.Context, b *warehouse.Batch) (pipeline.Note, error) {
	g.batch = b
	g.asking = &departed{keys: make([]uint64, b.Len()), asked: make([]bool, b.Len())}
	for i := range g.asking.keys {
		g.asking.keys[i] = uint64(b.Cols[0].Int[i])
	}
	return g.asking, nil
}

func (g *gone) Append(dst []byte, row int, rec *pipeline.Record) ([]byte, error) {
	// Nothing is appended for rows remembered before deletion was asked for, or
	// by a mapping with other ids.
	record := g.plan.Delete(string(g.batch.Cols[1].Text(row)), dst)
	if len(record) == len(dst) {
		return dst, nil
	}
	g.asking.asked[row] = true
	rec.Send, rec.Lane = true, uint64(g.batch.Cols[0].Int[row])|1
	return record, nil
}

func (g *gone) AppendMore(dst []byte, _ int) []byte { return dst }
func (g *gone) Close() error                        { return nil }

func (g *gone) Settle(n pipeline.Note) {
	d := n.(*departed)
	g.refused = g.refused || d.refused.Load()
	for i, k := range d.keys {
		if k == 0 {
			continue
		}
		g.settled = append(g.settled, k)
		if d.asked[i] {
			g.deleted++
		}
	}
}

func (g *gone) Save(ctx context.Context, _ *warehouse.Position) error {
	if err := g.lease.ForgetHashes(ctx, g.settled); err != nil {
		return err
	}
	g.settled = g.settled[:0]
	return nil
}

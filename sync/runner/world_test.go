package runner_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
	"github.com/mixsync/mixsync/sync/runner"
)

// fields are the columns of the one table there is.
var fields = []warehouse.Field{
	{Name: "id", Kind: warehouse.Int, Type: "INTEGER", NotNull: true, Sortable: true},
	{Name: "at", Kind: warehouse.Int, Type: "INTEGER", NotNull: true, Sortable: true},
	{Name: "ts", Kind: warehouse.Int, Type: "INTEGER", NotNull: true, Sortable: true},
	{Name: "company", Kind: warehouse.Text, Type: "TEXT", Sortable: true},
	{Name: "person", Kind: warehouse.Text, Type: "TEXT", Sortable: true},
	{Name: "val", Kind: warehouse.Text, Type: "TEXT", Sortable: true},
}

// world is a warehouse in memory, a state in a file, and a Mixpanel that
// remembers what it was sent.
type world struct {
	t     *testing.T
	db    *sql.DB
	path  string
	store *checkpoint.Store
	sync  runner.Sync
	rows  int // of a batch
	stop  chan struct{}
	// wrap, if set, gives the warehouse abilities that it has not.
	wrap func(warehouse.Driver) warehouse.Driver

	// send, if set, decides the fate of a request instead of storing it all; it
	// returns false to leave that to the world.
	send func(ctx context.Context, p *mixpanel.Payload) (mixpanel.Outcome, bool)

	mu        sync.Mutex
	stored    map[int64]record   // the last record of each row
	delivered map[int64]int      // how often each row's record was stored
	ids       map[string]int64   // whose each insert id is
	tuples    map[int64][]string // what each event was deduplicated by, as often as it differs
	deleted   []string           // companies
	rng       *rand.Rand
	latency   time.Duration
}

// record is what Mixpanel was told of a row.
type record struct {
	ID      int64  `json:"id"`
	Val     string `json:"val"`
	Time    int64  `json:"time"`
	Company string `json:"$company_id"`
	Insert  string `json:"$insert_id"`
}

func column(name string) *mapping.Source { return &mapping.Source{Column: name} }

// eventSync appends the table's rows as events; profileSync sends each as the
// profile of its company.
func eventSync() runner.Sync {
	return runner.Sync{
		Name: "usage", Project: "prod", Source: warehouse.Source{Table: "t"}, Mode: runner.Append,
		Spec: mapping.Spec{
			Sync: "usage", Namespace: "usage", Type: mapping.Event, Model: mapping.Hierarchical, PrimaryKey: []string{"id"}, Cursor: "at",
			Mapping: mapping.Mapping{
				Event: &mapping.Source{Constant: "Used", IsConst: true}, Time: &mapping.Source{Column: "ts", Unit: "s"},
				CompanyID: column("company"), UserID: column("person"),
			},
			Properties:     mapping.Properties{Include: []string{"id", "val"}},
			MissingCompany: mapping.RejectRow, MissingUser: mapping.RejectRow, Future: mapping.RejectRow, Location: time.UTC,
		},
		Cursor:     &runner.Cursor{Column: "at", LookbackCount: lookback, LookbackSet: true},
		MaxRejects: runner.Threshold{Percent: 100, IsPercent: true}, MaxRestated: runner.Threshold{Percent: 100, IsPercent: true},
	}
}

func profileSync() runner.Sync {
	s := eventSync()
	s.Mode, s.Spec.Type, s.Spec.GroupKey, s.Spec.Token = runner.Upsert, mapping.Group, "$company_id", "tok"
	s.Spec.Mapping = mapping.Mapping{CompanyID: column("company"), GroupID: column("company")}
	s.Spec.Nulls, s.Spec.Future = mapping.NullsSkip, ""
	return s
}

func newWorld(t *testing.T, s runner.Sync, seed uint64) *world {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // each connection would have a table of its own
	w := &world{
		t: t, db: db, path: filepath.Join(t.TempDir(), "state.db"), sync: s, rows: 5, rng: rand.New(rand.NewPCG(seed, 29)),
		stored: map[int64]record{}, delivered: map[int64]int{}, ids: map[string]int64{}, tuples: map[int64][]string{},
	}
	w.exec(`CREATE TABLE t (id INTEGER, at INTEGER, ts INTEGER, company TEXT, person TEXT, val TEXT)`)
	w.open()
	return w
}

func (w *world) close() {
	if err := errors.Join(w.store.Close(), w.db.Close()); err != nil {
		w.t.Error(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	store, err := checkpoint.Open(w.t.Context(), "sqlite:"+w.path, checkpoint.Options{Ephemeral: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
}

// die ends the process as far as the state can tell: nothing is saved any more.
func (w *world) die() {
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.t.Context(), query, args...); err != nil {
		w.t.Fatal(err)
	}
}

// answer runs the reader's SQL.
func (w *world) answer(query string, args []warehouse.Arg) (warehouse.Rows, error) {
	schema := &warehouse.Schema{Fields: fields}
	if strings.HasPrefix(query, "SELECT max(") || strings.HasPrefix(query, "SELECT min(") || strings.HasPrefix(query, "SELECT count(") {
		schema = &warehouse.Schema{Fields: []warehouse.Field{{Name: "bound", Kind: warehouse.Int, Type: "INTEGER"}}}
	}
	bound := make([]any, len(args))
	for i, a := range args {
		bound[i] = a.Text
	}
	found, err := w.db.QueryContext(w.t.Context(), query, bound...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var list []warehousetest.Row
	for found.Next() {
		row := make(warehousetest.Row, len(schema.Fields))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	rows := warehousetest.NewRows(schema, list...)
	rows.BatchRows = w.rows
	return rows, found.Err()
}

func (w *world) driver() warehouse.Driver {
	d := warehouse.Driver(&warehousetest.Memory{
		Answer: w.answer, Time: warehouse.Clock{Now: time.Now()},
		SQL: &warehouse.Dialect{Name: "sqlite", Quote: strconv.Quote, QuoteTable: strconv.Quote, Ordered: true,
			Bind: func(n int, f warehouse.Field) string { return fmt.Sprintf("CAST(?%d AS %s)", n, f.Type) }},
	})
	if w.wrap != nil {
		d = w.wrap(d)
	}
	return d
}

// run does one run and checks what holds for every run.
func (w *world) run(ctx context.Context, o runner.Options) *runner.Report {
	w.t.Helper()
	w.stop = make(chan struct{})
	r := &runner.Runner{
		Store: w.store, Driver: w.driver(), Pacer: patience{}, Senders: 4, Stop: w.stop,
		Sink: func(guard func() error) pipeline.Sink { return &sink{w, guard} },
	}
	rep := r.Run(ctx, w.sync, o)
	if got := rep.Accepted + rep.Rejected + rep.Held + rep.Unchanged; got != rep.Rows {
		w.t.Errorf("rows_read = %d, but accepted %d + rejected %d + held %d + unchanged %d = %d",
			rep.Rows, rep.Accepted, rep.Rejected, rep.Held, rep.Unchanged, got)
	}
	return rep
}

// good does a run that must succeed.
func (w *world) good(o runner.Options) *runner.Report {
	w.t.Helper()
	rep := w.run(w.t.Context(), o)
	if rep.Error != nil {
		w.t.Fatalf("the run failed: %s: %v", rep.Error.Code, rep.Error)
	}
	return rep
}

// patience is a pacer that lets everything pass.
type patience struct{}

func (patience) Acquire(ctx context.Context) error { return ctx.Err() }
func (patience) Release(*mixpanel.Outcome)         {}
func (patience) Wait(ctx context.Context, _ int, _ time.Time, _ *mixpanel.Outcome) error {
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type sink struct {
	*world
	guard func() error
}

func (s *sink) Send(ctx context.Context, p *mixpanel.Payload) mixpanel.Outcome {
	if err := s.guard(); err != nil {
		return mixpanel.Outcome{Verdict: mixpanel.Halt, Err: err}
	}
	select {
	case <-time.After(time.Duration(s.roll(int64(s.latency) + 1))):
	case <-ctx.Done():
		return mixpanel.Outcome{Verdict: mixpanel.Retry, Err: ctx.Err()}
	}
	if s.send != nil {
		if o, decided := s.send(ctx, p); decided {
			return o
		}
	}
	return s.keep(p)
}

// roll is a random number below n, for senders.
func (w *world) roll(n int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Int64N(n)
}

// keep stores what is good of a request. Records whose val begins with "bad" are
// refused one by one.
func (w *world) keep(p *mixpanel.Payload) mixpanel.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := mixpanel.Outcome{Verdict: mixpanel.Settled}
	for i := range p.Len() {
		var x struct {
			Properties record
			Set        record  `json:"$set"`
			Company    string  `json:"$company_id"`
			Delete     *string `json:"$delete"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(p.Record(i)), &x); err != nil {
			w.t.Errorf("no record: %v: %q", err, p.Record(i))
			continue
		}
		if x.Delete != nil {
			o.Accepted++
			w.deleted = append(w.deleted, x.Company)
			continue
		}
		r := x.Properties
		if p.Endpoint != mixpanel.Events {
			r = x.Set
			r.Company = x.Company
		}
		if strings.HasPrefix(r.Val, "bad") {
			o.Refused = append(o.Refused, mixpanel.Refusal{Index: i, Field: "val", Message: "bad value"})
			continue
		}
		o.Accepted++
		w.delivered[r.ID]++
		w.stored[r.ID] = r
		if r.Insert == "" {
			continue
		}
		if id, ok := w.ids[r.Insert]; ok && id != r.ID {
			w.t.Errorf("rows %d and %d share the insert id %s", id, r.ID, r.Insert)
		}
		w.ids[r.Insert] = r.ID
		if tuple := fmt.Sprint(r.Insert, r.Time, r.Company); len(w.tuples[r.ID]) == 0 || w.tuples[r.ID][0] != tuple {
			w.tuples[r.ID] = append(w.tuples[r.ID], tuple)
		}
	}
	return o
}

// rejects are the ids of the rows with an open reject.
func (w *world) rejects() map[int64]bool {
	w.t.Helper()
	list, err := w.store.Rejects(w.t.Context(), checkpoint.RejectFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[int64]bool{}
	for _, r := range list {
		var key struct{ ID int64 }
		if err := json.Unmarshal(r.Key, &key); err != nil {
			w.t.Fatalf("key %q of a reject: %v", r.Key, err)
		}
		ids[key.ID] = true
	}
	return ids
}

package runner

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/plan"
)

// Modes of a sync.
const (
	Append = "append" // events, by cursor
	Upsert = "upsert" // profiles, by cursor
	Full   = "full"   // everything each time; what has not changed is not sent
	Mirror = "mirror" // full, and what is gone from the table can be deleted
)

// Sync is one sync to one project, as the runner needs it.
type Sync struct {
	Name    string
	Project string
	Source  warehouse.Source
	Mode    string
	Spec    mapping.Spec
	Cursor  *Cursor // nil in full and mirror modes

	MaxRejects  Threshold
	MaxRestated Threshold
	KeysOnly    bool // rejects keep keys, not payloads
	DeleteGone  bool // mirror: delete the profiles of rows that are gone
	NoResync    bool // resync: forbid
	// SkipUnchanged skips a run when the warehouse can tell that the table is as
	// the last complete run has read it.
	SkipUnchanged bool
	// Parallel is how many slices of an event sync one process works on at a
	// time; 0 is one. Those of profiles, and of events that link devices to
	// users, go one after the other whatever it says.
	Parallel int
}

// ordered reports whether the slices must go in order: a profile ends as its
// last row, and of the links of a device the first one wins.
func (s *Sync) ordered() bool {
	return s.Spec.Type != mapping.Event || s.Spec.Mapping.DeviceID != nil
}

// Cursor says how the rows of a sync are told new from old.
type Cursor struct {
	Column        string
	Lookback      time.Duration // of timestamps and dates
	LookbackCount int64         // of integers
	LookbackSet   bool          // said in the YAML, not the default
	Settle        time.Duration
	MaxHold       time.Duration
	AllowNull     bool   // null_rows: skip
	Start         string // no row before it is read; "" for none
	Slice         string // as plan.Bounds takes it; "" is auto
}

func (c *Cursor) slice() string {
	if c.Slice == "" {
		return plan.Auto
	}
	return c.Slice
}

// Threshold is a number of rows, absolute or as a share of the rows read.
type Threshold struct {
	Percent   float64
	Count     int64
	IsPercent bool
}

// A share is judged from this many rows on, and at the end.
const judgedFrom = 1000

// Exceeded reports whether n of rows are too many. A share of few rows says
// nothing until they are all the rows there are.
func (t Threshold) Exceeded(n, rows int64, final bool) bool {
	if !t.IsPercent {
		return n > t.Count
	}
	if rows < judgedFrom && !final {
		return false
	}
	return float64(n)*100 > t.Percent*float64(rows)
}

func (t Threshold) String() string {
	if t.IsPercent {
		return strconv.FormatFloat(t.Percent, 'f', -1, 64) + "%"
	}
	return strconv.FormatInt(t.Count, 10)
}

// Options is what one invocation asks of a run.
type Options struct {
	Resync bool
	Start  string // a range by the cursor, half open; empty: none
	End    string
	DryRun bool  // encode and count; send nothing, save nothing
	Limit  int64 // send the first so many rows; save nothing
	// AcceptMappingChange goes on although rows that were sent before would be
	// sent again as other records.
	AcceptMappingChange bool
	MaxRejects          *Threshold // in place of the sync's own
	// Budget, if not zero, is how long to work before the place is saved and the
	// rest left to a later call: Report.Left says so.
	Budget time.Duration
	// Turn makes an incremental run ask for its turn while a resync or a range is
	// at work, instead of giving up. It waits for as long as Budget allows, or the
	// context. Nor does it finish a resync that others are at.
	Turn bool
	// Keys, if set, are the rows to send again, as rejects name them; nothing else
	// is read then, and the mark stays.
	Keys []json.RawMessage
	// Join is the id of a run to help with: nothing else is done then.
	Join string
	// RunID, if set, is the id of the run to open. Runs of its kind that others are
	// at are not joined then: it opens its own after them.
	RunID string
}

// ranged reports whether a range was asked for.
func (o Options) ranged() bool { return o.Start != "" || o.End != "" }

// kind is the kind of run that was asked for.
func (o Options) kind() string {
	switch {
	case o.ranged(), o.Keys != nil:
		return checkpoint.Range
	case o.Resync:
		return checkpoint.Resync
	}
	return checkpoint.Incremental
}

// passing reports whether the run leaves no trace in marks and ledger.
func (o Options) passing() bool { return o.DryRun || o.Limit > 0 }

package runner

import (
	"strconv"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
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
}

// ranged reports whether a range was asked for.
func (o Options) ranged() bool { return o.Start != "" || o.End != "" }

// passing reports whether the run leaves no trace in marks and ledger.
func (o Options) passing() bool { return o.DryRun || o.Limit > 0 }

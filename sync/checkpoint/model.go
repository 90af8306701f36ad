package checkpoint

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Kinds of runs. Only an Incremental or Full run moves a mark; at most one
// unfinished run of each kind exists per target.
const (
	Incremental = "incremental"
	Resync      = "resync"
	Range       = "range"
)

// Statuses of runs.
const (
	Running     = "running"     // or died: whoever holds the lease next goes on with it
	Succeeded   = "succeeded"   //
	Partial     = "partial"     // done, rejects were filed
	Failed      = "failed"      // unfinished: its window is finished by the next run
	Interrupted = "interrupted" // unfinished, as above
	Abandoned   = "abandoned"   // given up: its window is covered by a later run
)

// Mark is a high-water mark: the cursor value of a row, in text.
type Mark struct {
	Kind warehouse.Kind
	Text string
}

// Target is a sync to one project: the unit that has a mark, a lease and a ledger.
type Target struct {
	ID      int64
	Sync    string
	Project string
	Mark    *Mark // nil before the first finished window
	// Fingerprint is JSON: what feeds Mixpanel's deduplication, as of the last
	// run that was allowed to send.
	Fingerprint json.RawMessage
	// LedgerFrom is the cursor (in ticks) from which on the ledger is complete.
	LedgerFrom *int64
	// Sent says that some record of this target was accepted, ever.
	Sent bool
	// Columns are the columns seen by the last run, to tell new ones.
	Columns   []string
	UpdatedAt time.Time
}

// Window is the rows a run is to read: From < or <= cursor <= To, in text.
type Window struct {
	From *string `json:"from,omitempty"` // inclusive; nil: from the beginning
	To   *string `json:"to,omitempty"`   // inclusive; nil: to the end (no cursor)
	// Before is an exclusive upper bound that was asked for by hand (--end).
	Before *string `json:"before,omitempty"`
	// Writer names the session whose open transaction keeps To back, if one does.
	Writer string `json:"writer,omitempty"`
}

// Counts are the figures of a run. Rows = Accepted + Rejected + Held + Unchanged.
type Counts struct {
	Rows         int64            `json:"rows_read"`
	Sent         int64            `json:"sent"`
	Accepted     int64            `json:"accepted"`
	Rejected     int64            `json:"rejected"`
	Held         int64            `json:"held"`
	Unchanged    int64            `json:"unchanged"`
	Restated     int64            `json:"restated"`
	Requests     int64            `json:"requests"`
	Retries      int64            `json:"retries"`
	BytesJSON    int64            `json:"bytes_json"`
	BytesWire    int64            `json:"bytes_wire"`
	RejectCounts map[string]int64 `json:"reject_counts"`
}

// Run is one attempt, or several, at one window.
type Run struct {
	ID       string // ULID
	TargetID int64
	Kind     string
	Status   string
	Window   Window
	Shape    string // hash of source, cursor and key columns: a position is only good for the same
	Seq      int64  // counts the runs of a target; generation of row hashes
	Position *warehouse.Position
	// Floor is a place before the first reject of the run, at or behind
	// Position: where the run goes back to when rejects become too many. An
	// empty Position is the start of the window; nil: no reject yet.
	Floor *warehouse.Position
	// Held has the greatest cursor below that of the first row that is held back
	// until it is due: the run's mark may go no further. Empty: below all rows of
	// the window; nil: no row is held.
	Held       *warehouse.Position
	Counts     Counts // over all attempts
	StartedAt  time.Time
	FinishedAt *time.Time
	MarkBefore *string
	MarkAfter  *string
	Error      json.RawMessage // {"code","message","hint"}; null when none
	// Fingerprint is what the run sends under. Begin keeps it with the target,
	// so that it counts even if the run is killed; it is not read back.
	Fingerprint json.RawMessage
}

// Entry is a row of the sent-ledger: what was last sent or filed for a key.
type Entry struct {
	Key    uint64
	Cursor int64 // ticks: microseconds, days, or the integer itself
	Hash   uint64
	Filed  bool // the row became a reject
}

// HashEntry is a row of full and mirror modes: the hash of the record last sent.
type HashEntry struct {
	Key   uint64
	Hash  uint64
	Ident string // what is needed to delete the profile; empty unless on_delete asks for it
	Filed bool   // the row became a reject
}

// Reject is a row that could not be sent or that Mixpanel refused.
type Reject struct {
	ID        string // deterministic: the same row and code give the same id
	TargetID  int64
	Sync      string
	Project   string
	Key       json.RawMessage // {"id":1}
	KeyHash   uint64
	Code      string
	Field     string
	Message   string
	RunID     string
	FirstSeen time.Time
	Attempts  int
	Payload   json.RawMessage // null with rejects: {payload: keys}
}

// Progress is what commit knows of newly settled rows; it is saved whole or not at all.
type Progress struct {
	Position *warehouse.Position // nil: unchanged
	Floor    *warehouse.Position // nil: unchanged; Outcome.Rewind clears it
	Held     *warehouse.Position // nil: unchanged
	Counts   Counts              // totals over all attempts, absolute
	Ledger   []Entry
	Hashes   []HashEntry
	// Seen are rows that have not changed, by key: a mirror must know, no later
	// than it passes them, that they are not gone.
	Seen     []uint64
	Rejects  []Reject
	Resolved []uint64 // key hashes whose open rejects are settled: the row was accepted
}

// Outcome ends an attempt at a run.
type Outcome struct {
	Status      string
	Counts      Counts
	Error       json.RawMessage
	Mark        *Mark   // nil: the mark stays
	MarkAfter   *string // for the history: the mark as the run leaves it
	Fingerprint json.RawMessage
	LedgerFrom  *int64 // with a new mark: entries below are dropped
	Columns     []string
	// Rewind puts the run back to this position (empty Position: to the start)
	// and forgets the ledger entries and row hashes of filed rows, so that a
	// mended mapping sends them. Nil: no rewind.
	Rewind *warehouse.Position
}

// ErrHeld says that another process holds the lease.
var ErrHeld = errors.New("another run holds the lease")

// ErrFenced says that the lease was lost: somebody else has taken over, and
// nothing more may be saved or sent.
var ErrFenced = errors.New("the lease was lost to another process")

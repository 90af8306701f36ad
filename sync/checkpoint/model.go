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
	Refused     = "refused"     // it could not begin
	Skipped     = "skipped"     // it was not needed: Reason says why
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
	// Source identifies what the last complete run has read, to its end: the
	// configuration and the state of the table. Empty: not known.
	Source string
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
	// Waiting counts the rejects, among those filed or unchanged, whose time has not
	// come yet: a later read of the same rows sends them.
	Waiting int64 `json:"waiting,omitempty"`
}

// Run is one attempt, or several, at one window.
type Run struct {
	ID       string // UUID, version 7
	TargetID int64
	Kind     string
	Status   string
	Window   Window
	// CursorKind is the kind of the marks it moves; Invalid without a cursor. It is
	// not kept: whoever takes a run up knows it.
	CursorKind warehouse.Kind
	Shape      string // hash of source, cursor and key columns: a position is only good for the same
	Seq        int64  // counts the runs of a target; generation of row hashes
	Counts     Counts // over all attempts
	// SlicesDone of SlicesTotal are done.
	SlicesDone, SlicesTotal int
	Attempts                int // the first, and one more each time it was taken up after a failure
	StartedAt               time.Time
	FinishedAt              *time.Time
	MarkBefore              *string
	MarkAfter               *string
	Error                   json.RawMessage // {"code","message","hint"}; null when none
	Reason                  string          // of a run that was skipped
	Usage                   Usage           // over all attempts and processes
	// Fingerprint is what the run sends under. Begin keeps it with the target,
	// so that it counts even if the run is killed; it is not read back.
	Fingerprint json.RawMessage
}

// Statuses of slices.
const (
	SlicePending = "pending" // to be done, or being done
	SliceDone    = "done"
	SliceFailed  = "failed" // it cannot be done now; the next attempt at the run tries again
)

// Slice is a part of a run's window: what is claimed and worked on at once.
type Slice struct {
	RunID    string
	N, Total int // the nth of all, from 1, in order of the cursor
	Window   Window
	Status   string
	Position *warehouse.Position
	// Floor is a place before the first reject of the slice, at or behind
	// Position: where it goes back to when rejects become too many. An empty
	// Position is the start; nil: no reject yet.
	Floor *warehouse.Position
	// Held has the greatest cursor below that of the first row that is held back
	// until it is due: the run's mark may go no further. Empty: below all rows of
	// the slice; nil: no row is held.
	Held    *warehouse.Position
	Reached *string // the greatest cursor that is settled
	Counts  Counts  // over all attempts since its start
	Judged  Tally   // what its share of too many is judged by
	Error   json.RawMessage
	// As of the claim: whether all other slices are done, and their figures.
	Last      bool
	Elsewhere Tally
}

// Tally is what decides whether a run has to stop.
type Tally struct{ Rows, Rejected, Restated int64 }

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
	Reached  *string             // nil: unchanged
	Counts   Counts              // totals of the slice, absolute
	Judged   Tally               // likewise
	Ledger   []Entry
	Hashes   []HashEntry
	// Seen are rows that have not changed, by key: a mirror must know, no later
	// than it passes them, that they are not gone.
	Seen     []uint64
	Rejects  []Reject
	Resolved []uint64 // key hashes whose open rejects are settled: the row was accepted
}

// Done is what is to be known of a slice that is done.
type Done struct {
	Counts  Counts
	Judged  Tally
	Reached *string // nil: as last saved
	// Lookback returns the cursor, in ticks, that lies the lookback before a mark.
	Lookback func(mark string) *int64
}

// Outcome ends an attempt at a run.
type Outcome struct {
	Status      string
	Error       json.RawMessage
	Mark        *Mark   // nil: the mark stays
	MarkAfter   *string // for the history: the mark as the run leaves it
	Fingerprint json.RawMessage
	LedgerFrom  *int64 // with a new mark: entries below are dropped
	Columns     []string
	Source      string // as Target.Source, of a run that is complete
	// Rewind puts every slice back to before its first reject and forgets the
	// ledger entries and row hashes of filed rows, so that a mended mapping sends
	// them.
	Rewind bool
}

// ErrHeld says that another process holds the lease.
var ErrHeld = errors.New("another run holds the lease")

// HeldError is ErrHeld with what is known of the holder.
type HeldError struct {
	Holder string
	Since  time.Time
	// RunID and Kind are of the run that its members may be joined at; empty when
	// the target is held by one alone.
	RunID, Kind string
	// Alone says that the holder is about to open a run, or to end one: looking
	// again soon is worth while.
	Alone bool
}

func (e *HeldError) Error() string {
	text := ErrHeld.Error() + ": " + e.Holder
	if !e.Since.IsZero() {
		text += ", since " + e.Since.Format(time.RFC3339)
	}
	return text
}

func (e *HeldError) Unwrap() error { return ErrHeld }

// Why there is no slice to be had.
var (
	ErrNone = errors.New("others are at what is left of the run")
	ErrDone = errors.New("no slice of the run is left to be done")
	ErrTurn = errors.New("an incremental run of the sync wants its turn")
	ErrOver = errors.New("the run was ended by another process")
)

// ErrFenced says that the lease was lost: somebody else has taken over, and
// nothing more may be saved or sent.
var ErrFenced = errors.New("the lease was lost to another process")

package runner

import (
	"time"

	"github.com/mixsync/mixsync/sync/checkpoint"
)

// Statuses of a report.
const (
	Succeeded   = "succeeded"
	Partial     = "partial" // done, rejects were filed
	Failed      = "failed"
	Skipped     = "skipped" // nothing due, nothing new, or held elsewhere
	Interrupted = "interrupted"
)

// Report is what an invocation did for one sync and project: an element of
// "syncs" in the JSON of run. Counts are those of this invocation; a run that
// was taken up again counts what was left.
type Report struct {
	Sync    string `json:"sync"`
	Project string `json:"project"`
	RunID   string `json:"run_id"`
	Status  string `json:"status"`
	Mode    string `json:"mode"`
	Resync  bool   `json:"resync"`
	DryRun  bool   `json:"dry_run,omitempty"`
	checkpoint.Counts
	checkpoint.Usage
	Slices     Slices    `json:"slices"`
	Mark       Marks     `json:"mark"`
	Resumed    bool      `json:"resumed"`          // an unfinished window was finished first
	Deleted    int64     `json:"deleted"`          // profiles whose rows are gone (mirror with on_delete: delete)
	Omitted    int       `json:"omitted_values"`   // NaN, infinite, or not of the type that was asked for
	Truncated  int       `json:"truncated_values"` // cut to Mixpanel's limit
	Replaced   int       `json:"replaced_values"`  // with invalid UTF-8 mended
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	Error      *Error    `json:"error"`
	Reason     string    `json:"reason,omitempty"` // why it was skipped, if not for an error
	// Left says that the budget was spent first: there is more to do.
	Left bool `json:"-"`
	// Notes are things the user should know although nothing failed.
	Notes []string `json:"notes,omitempty"`
}

// Slices of the window or windows that the invocation worked on.
type Slices struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// Marks before and after, as cursor text; nil: none.
type Marks struct {
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// ReportOf says what the state knows of a run as the report of its sync.
func ReportOf(r *checkpoint.Run, sync, project, mode string) *Report {
	rep := &Report{Sync: sync, Project: project, RunID: r.ID, Status: r.Status, Mode: mode, Resync: r.Kind != checkpoint.Incremental,
		Counts: r.Counts, Usage: r.Usage, Reason: r.Reason, Slices: Slices{r.SlicesDone, r.SlicesTotal}, Mark: Marks{r.MarkBefore, r.MarkAfter}, StartedAt: r.StartedAt}
	if rep.RejectCounts == nil {
		rep.RejectCounts = map[string]int64{}
	}
	if r.Status == checkpoint.Refused {
		rep.Status = Failed
	}
	if r.FinishedAt != nil {
		rep.FinishedAt = *r.FinishedAt
	}
	if len(r.Error) > 0 {
		rep.Error = errorOf(r)
	}
	return rep
}

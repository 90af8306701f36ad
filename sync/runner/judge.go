package runner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mixsync/mixsync/sync/checkpoint"
)

// judge decides when rejects, or restated rows, are too many to go on. Encoder
// and senders tell it what they see of a slice; the state tells of the others.
// It counts over all attempts at a run.
type judge struct {
	rejects  Threshold
	restates Threshold
	accept   bool // restated rows are wanted: the mapping change was accepted

	rows, rejected, restated atomic.Int64 // of this slice
	elsewhere                atomic.Pointer[checkpoint.Tally]

	mu    sync.Mutex
	codes map[string]int64 // of this attempt's rejects
}

// newJudge goes on from what earlier attempts at a slice have counted.
func newJudge(s *Sync, part *checkpoint.Slice, accept bool) *judge {
	j := &judge{rejects: s.MaxRejects, restates: s.MaxRestated, accept: accept}
	j.rows.Store(part.Judged.Rows)
	j.rejected.Store(part.Judged.Rejected)
	j.restated.Store(part.Judged.Restated)
	j.hear(part.Elsewhere)
	return j
}

// hear takes over what the state knows of the other slices.
func (j *judge) hear(t checkpoint.Tally) { j.elsewhere.Store(&t) }

func (j *judge) reject(code string) {
	j.rejected.Add(1)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.codes == nil {
		j.codes = map[string]int64{}
	}
	j.codes[code]++
}

// reasons lists the codes of this attempt: "2 blank_id, 1 bad_time".
func (j *judge) reasons() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []string
	for _, code := range slices.Sorted(maps.Keys(j.codes)) {
		list = append(list, fmt.Sprintf("%d %s", j.codes[code], code))
	}
	return strings.Join(list, ", ")
}

// verdict is the error that stops the run, or nil. It is final when no row
// will follow.
func (j *judge) verdict(final bool) error {
	rows, rejected, restated := j.rows.Load(), j.rejected.Load(), j.restated.Load()
	if others := j.elsewhere.Load(); others != nil {
		rows, rejected, restated = rows+others.Rows, rejected+others.Rejected, restated+others.Restated
	}
	if j.rejects.Exceeded(rejected, rows, final) {
		return errorf(CodeTooManyRejects,
			"see `mixsync rejects list` for the reasons; mend the mapping or the data and run again, or raise max_rejects: the mark stays before the first reject of this run, so those rows will be sent",
			"%d of %d rows were rejected (%s), more than max_rejects (%s) allows", rejected, rows, j.reasons(), j.rejects)
	}
	if !j.accept && j.restates.Exceeded(restated, rows, final) {
		return errorf(CodeMappingChanged,
			"the query or what feeds it changed the event name, time or ids of rows that were sent before; if that is wanted run again with --accept-mapping-change, or raise max_restated",
			"%d of %d rows would be sent again as other events than before, more than max_restated (%s) allows", restated, rows, j.restates)
	}
	return nil
}

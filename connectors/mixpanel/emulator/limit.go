package emulator

import (
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// window counts what a project took in the last minute, second by second.
type window struct {
	limit   RateLimit
	seconds [60]struct{ at, events, bytes int64 }
}

// take counts a request, or reports that it would exceed the limit.
func (w *window) take(now time.Time, events, bytes int) bool {
	at := now.Unix()
	sumEvents, sumBytes := int64(events), int64(bytes)
	for _, s := range w.seconds {
		if s.at > at-60 && s.at <= at {
			sumEvents, sumBytes = sumEvents+s.events, sumBytes+s.bytes
		}
	}
	if w.limit.Events > 0 && sumEvents > w.limit.Events || w.limit.Bytes > 0 && sumBytes > w.limit.Bytes {
		return false
	}
	s := &w.seconds[at%60]
	if s.at != at {
		s.at, s.events, s.bytes = at, 0, 0
	}
	s.events += int64(events)
	s.bytes += int64(bytes)
	return true
}

// HotShard is an id with more events in one day than Mixpanel keeps apart:
// there, the events beyond the limit lose their name and their user.
type HotShard struct {
	ID    string `json:"id"` // a distinct_id, or a company's composite id
	Day   string `json:"day"`
	Count int    `json:"count"` // of events sent, copies included; may be a little high
	Limit int    `json:"limit"`
}

const (
	hotPerID    = 200_000
	hotPerGroup = 1_000_000
	maxHot      = 1000 // ids reported
	sketchRows  = 4
	sketchCols  = 1 << 17
)

// heat finds hot shards in fixed memory: a count-min sketch, which can only
// count too high, and by a few hundred at most in ten million events.
type heat struct {
	perID, perGroup int
	sketch          [sketchRows][]uint32
	hot             map[string]*HotShard
	scratch         []byte
}

func newHeat() *heat {
	h := &heat{perID: hotPerID, perGroup: hotPerGroup, hot: map[string]*HotShard{}}
	for i := range h.sketch {
		h.sketch[i] = make([]uint32, sketchCols)
	}
	return h
}

// count notes one event of its user and of its company.
func (h *heat) count(r *record) {
	if len(r.who.id) > 0 {
		h.add("", r.who.id, r.millis, h.perID)
	}
	if len(r.who.company) > 0 {
		h.add("$company:", r.who.company, r.millis, h.perGroup)
	}
}

const dayMillis = 24 * 60 * 60 * 1000

func (h *heat) add(prefix string, id []byte, millis int64, limit int) {
	day := millis / dayMillis
	h.scratch = append(append(append(h.scratch[:0], prefix...), id...), byte(day), byte(day>>8), byte(day>>16))
	if prefix != "" {
		h.scratch = append(h.scratch, 'g') // a company's own events are counted apart from its group
	}
	sum := maphash.Bytes(seeds[0], h.scratch)
	low := ^uint32(0)
	for i := range h.sketch {
		cell := &h.sketch[i][(sum>>(15*i))%sketchCols]
		*cell++
		low = min(low, *cell)
	}
	if int(low) <= limit {
		return
	}
	if shard := h.hot[string(h.scratch)]; shard != nil {
		shard.Count = int(low)
	} else if len(h.hot) < maxHot {
		h.hot[string(h.scratch)] = &HotShard{
			ID: prefix + string(id), Day: time.UnixMilli(millis).UTC().Format(time.DateOnly), Count: int(low), Limit: limit,
		}
	}
}

func (h *heat) list() []HotShard {
	list := make([]HotShard, 0, len(h.hot))
	for _, shard := range h.hot {
		list = append(list, *shard)
	}
	slices.SortFunc(list, func(a, b HotShard) int {
		return strings.Compare(a.Day+a.ID, b.Day+b.ID)
	})
	return list
}

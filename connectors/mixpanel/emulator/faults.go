package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of fault a Rule can inject.
const (
	FaultStatus       = "status"       // answer Status (default 503) with an HTML body, or Body; nothing is processed
	FaultThrottle     = "throttle"     // answer 429 as Mixpanel does, without Retry-After
	FaultUnauthorized = "unauthorized" // answer 401
	FaultTooLarge     = "too_large"    // answer 413 to bodies over Limit bytes (default 2,097,152)
	FaultResetBefore  = "reset_before" // reset the connection, nothing is processed
	FaultResetAfter   = "reset_after"  // process, then reset the connection instead of answering
	FaultCut          = "cut"          // process, then break the connection in the middle of the answer
	FaultTruncate     = "truncate"     // process, then send half of the answer as if it were all
	FaultSlow         = "slow"         // process, then answer after DelayMS
	FaultSlowBody     = "slow_body"    // process, then spread the answer's bytes over DelayMS
	FaultRefuseBatch  = "refuse_batch" // refuse the whole request; failed_records holds Message as a string
	FaultRefuse       = "refuse"       // refuse the records that IDs, Indexes or Property and Value name
	FaultMiscount     = "miscount"     // claim By records fewer than were taken, naming none; with Lose it is true
)

var faultKinds = []string{
	FaultStatus, FaultThrottle, FaultUnauthorized, FaultTooLarge, FaultResetBefore, FaultResetAfter, FaultCut,
	FaultTruncate, FaultSlow, FaultSlowBody, FaultRefuseBatch, FaultRefuse, FaultMiscount,
}

// Faults is what goes wrong, in its JSON form the body of POST /emulator/faults.
// The same Seed and the same sequence of requests give the same faults.
type Faults struct {
	Seed  uint64 `json:"seed,omitempty"`
	Rules []Rule `json:"rules"`
}

// Rule is one fault: what, where and when. All conditions must hold; without
// any, the rule hits every request.
type Rule struct {
	Kind string `json:"kind"`
	Path string `json:"path,omitempty"` // only this path, such as "/import"; the export is hit only by its own

	// When. The requests of the path are counted from the moment the rule is set.
	After       int       `json:"after,omitempty"`       // not the first After requests
	Every       int       `json:"every,omitempty"`       // of the rest, every Nth
	Probability float64   `json:"probability,omitempty"` // and of these a share
	Burst       int       `json:"burst,omitempty"`       // a hit lasts for so many requests
	Next        int       `json:"next,omitempty"`        // stop after so many hits
	From        time.Time `json:"from,omitzero"`         // not before

	// What, according to Kind.
	Status  int    `json:"status,omitempty"`
	Body    string `json:"body,omitempty"`
	Limit   int    `json:"limit,omitempty"` // bytes, uncompressed
	DelayMS int    `json:"delay_ms,omitempty"`
	By      int    `json:"by,omitempty"` // default 1
	Lose    bool   `json:"lose,omitempty"`

	// Which records, for FaultRefuse: by position, by $insert_id or composite
	// profile id, by a property's value (of an event's properties, a profile's
	// operation, or the record itself).
	Indexes  []int    `json:"indexes,omitempty"`
	IDs      []string `json:"ids,omitempty"`
	Property string   `json:"property,omitempty"`
	Value    any      `json:"value,omitempty"` // string, number, bool or nil
	Field    string   `json:"field,omitempty"` // what failed_records says
	Message  string   `json:"message,omitempty"`
}

// Validate reports every fault of the rules, in one error.
func (f Faults) Validate() error {
	var errs []error
	for i, r := range f.Rules {
		if err := r.validate(); err != nil {
			errs = append(errs, fmt.Errorf("fault rule %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) validate() error {
	switch {
	case !slices.Contains(faultKinds, r.Kind):
		return fmt.Errorf("unknown kind %q: want one of %s", r.Kind, strings.Join(faultKinds, ", "))
	case r.Path != "" && r.Path != exportPath && !slices.Contains(writePaths, r.Path):
		return fmt.Errorf("unknown path %q: want one of %s, %s", r.Path, strings.Join(writePaths, ", "), exportPath)
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v is not between 0 and 1", r.Probability)
	case min(r.After, r.Every, r.Burst, r.Next, r.Limit, r.DelayMS, r.By) < 0:
		return errors.New("a count is negative")
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return fmt.Errorf("status %d is not an error status: want 400 to 599", r.Status)
	case r.Kind == FaultRefuse && len(r.Indexes)+len(r.IDs) == 0 && r.Property == "":
		return errors.New("refuse needs indexes, ids, or property and value")
	case (r.Kind == FaultSlow || r.Kind == FaultSlowBody) && r.DelayMS == 0:
		return fmt.Errorf("%s needs delay_ms", r.Kind)
	}
	if _, err := json.Marshal(r.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return nil
}

// injector decides which rules hit which request.
type injector struct {
	mu    sync.Mutex
	rules []*armed
}

// armed is a rule with its progress.
type armed struct {
	Rule
	random *rand.Rand
	json   []byte // Value as JSON
	seen   int    // requests of the path
	hits   int
	burst  int // requests that the present hit still lasts for
}

func (in *injector) set(f Faults, keep bool) error {
	if err := f.Validate(); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !keep {
		in.rules = nil
	}
	for i, r := range f.Rules {
		text, _ := json.Marshal(r.Value) // checked by Validate
		in.rules = append(in.rules, &armed{Rule: r, json: text, random: rand.New(rand.NewPCG(f.Seed, uint64(i)))})
	}
	return nil
}

// list returns the rules in force; those that are used up are left out.
func (in *injector) list() []Rule {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := []Rule{}
	for _, r := range in.rules {
		if r.Next == 0 || r.hits < r.Next {
			list = append(list, r.Rule)
		}
	}
	return list
}

// pick returns the rules that hit the next request to path.
func (in *injector) pick(path string, now time.Time) (hit []*armed) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, r := range in.rules {
		if (r.Path == path || r.Path == "" && path != exportPath) && r.hit(now) {
			hit = append(hit, r)
		}
	}
	return hit
}

func (r *armed) hit(now time.Time) bool {
	r.seen++
	if r.Next > 0 && r.hits >= r.Next || now.Before(r.From) {
		return false
	}
	if r.burst > 0 {
		r.burst--
		r.hits++
		return true
	}
	n := r.seen - r.After
	if n <= 0 || r.Every > 0 && n%r.Every != 0 {
		return false
	}
	if r.Probability > 0 && r.random.Float64() >= r.Probability {
		return false
	}
	r.burst = max(r.Burst-1, 0)
	r.hits++
	return true
}

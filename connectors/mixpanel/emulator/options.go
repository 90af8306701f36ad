package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The identity models of a project.
const (
	Hierarchical = "hierarchical" // $company_id and $user_id make composite ids
	Standard     = "standard"     // simplified ID merge, independent groups
)

// Options describe the project that is emulated. The zero value is a
// hierarchical project that accepts any credentials and enforces Mixpanel's
// documented limits.
type Options struct {
	Model string // Hierarchical (default) or Standard

	// Credentials. Those left empty are not compared; with none set, any
	// credentials do, but /import still wants some.
	ProjectID        int64
	Token            string // of the project: user name on /import, $token of profiles
	Username, Secret string // service account

	// KeysOnly keeps no record, only the $insert_id of every deduplicated
	// event and the id of every profile, in some 30 bytes each: ten million
	// events take about 350 MB. Device links are not followed in this mode.
	KeysOnly bool

	MaxBody    int // bytes of uncompressed body, default 10,000,000
	MaxRecords int // in one request, default 2000
	MaxRecord  int // bytes of one record, refused from this size on, default 1,000,000
	MaxDepth   int // levels of nesting within properties, default 10

	// TooManyStatus answers a request of more than MaxRecords: 413 (default)
	// or 400. Mixpanel does not document which.
	TooManyStatus int
	// RequireDistinctID refuses events without distinct_id even when they
	// carry $user_id or $device_id, as projects on the original ID merge do.
	RequireDistinctID bool
	// AtomicProfiles refuses a whole profile request when one record of it is
	// invalid. By default the valid ones are applied.
	AtomicProfiles bool
	// DollarInsertID names the id in failed_records "$insert_id", as one page
	// of Mixpanel's documentation does; by default "insert_id", as the others.
	DollarInsertID bool

	// LookupTables names the lookup tables of the project by id. With none,
	// every id is a table from its first PUT on.
	LookupTables   map[string]string
	MaxLookupBody  int // bytes of a lookup table, uncompressed, default 100,000,000
	MaxLookupCalls int // of PUT /lookup-tables within 24 hours, default 100

	RateLimit RateLimit
	Latency   time.Duration // added to every answer of a write path
	Faults    Faults        // what goes wrong from the start; see SetFaults

	MaxLog int              // requests and violations kept for inspection, default 10,000 each
	Now    func() time.Time // default time.Now
}

// RateLimit is what a project may take in a rolling minute; 0 is no limit.
// Mixpanel's own is 1,800,000 events and 2,000,000,000 bytes.
type RateLimit struct {
	Events int64 `json:"events_per_minute"`
	Bytes  int64 `json:"bytes_per_minute"` // uncompressed
}

// Validate reports every fault of the options, in one error.
func (o Options) Validate() error {
	var errs []error
	switch o.Model {
	case "", Hierarchical, Standard:
	default:
		errs = append(errs, fmt.Errorf("unknown model %q: want %q or %q", o.Model, Hierarchical, Standard))
	}
	switch o.TooManyStatus {
	case 0, http.StatusRequestEntityTooLarge, http.StatusBadRequest:
	default:
		errs = append(errs, fmt.Errorf("status for too many records is %d: want 413 or 400", o.TooManyStatus))
	}
	if (o.Username == "") != (o.Secret == "") {
		errs = append(errs, errors.New("a service account needs both username and secret"))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"max body", int64(o.MaxBody)}, {"max records", int64(o.MaxRecords)}, {"max record", int64(o.MaxRecord)},
		{"max depth", int64(o.MaxDepth)}, {"max log", int64(o.MaxLog)}, {"max lookup body", int64(o.MaxLookupBody)},
		{"max lookup calls", int64(o.MaxLookupCalls)}, {"latency", int64(o.Latency)},
		{"events per minute", o.RateLimit.Events}, {"bytes per minute", o.RateLimit.Bytes},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", n.name))
		}
	}
	if err := o.Faults.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	o.Model = cmp.Or(o.Model, Hierarchical)
	o.MaxBody = cmp.Or(o.MaxBody, 10_000_000)
	o.MaxRecords = cmp.Or(o.MaxRecords, 2000)
	o.MaxRecord = cmp.Or(o.MaxRecord, 1_000_000)
	o.MaxDepth = cmp.Or(o.MaxDepth, 10)
	o.TooManyStatus = cmp.Or(o.TooManyStatus, http.StatusRequestEntityTooLarge)
	o.MaxLookupBody = cmp.Or(o.MaxLookupBody, 100_000_000)
	o.MaxLookupCalls = cmp.Or(o.MaxLookupCalls, 100)
	o.MaxLog = cmp.Or(o.MaxLog, 10_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

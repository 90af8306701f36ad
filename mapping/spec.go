package mapping

import (
	"fmt"
	"strings"
	"time"
)

// Type is the kind of record that a sync makes.
type Type string

const (
	Event  Type = "event"
	Group  Type = "group"
	User   Type = "user"   // profiles of a standard project, through /engage
	Lookup Type = "lookup" // rows of a lookup table
)

// Model is the identity model of a Mixpanel project.
type Model string

const (
	Hierarchical Model = "hierarchical"
	Standard     Model = "standard"
)

// Source is where a mapped value comes from: a column, or a constant of the YAML.
type Source struct {
	Column   string
	Constant string
	IsConst  bool
	Unit     string // s, ms or us: what an integer time column counts
}

// Mapping names the sources of the members with a meaning. Nil: not mapped.
type Mapping struct {
	Event, Time, CompanyID, UserID, DeviceID, InsertID, GroupID, IP, Key *Source
}

// Constant is a property with a fixed value: string, int64, float64, bool or nil.
type Constant struct {
	Name  string
	Value any
}

// Properties selects and shapes the columns that become properties.
type Properties struct {
	Include   []string          // globs over columns not used in the mapping; empty means "*"
	Exclude   []string          // globs
	Rename    map[string]string // column → property
	Types     map[string]string // column → string, number, boolean, datetime or json
	Flatten   []string          // JSON columns whose keys are lifted one level up
	Constants []Constant        // in YAML order
}

// Policies of the identity block.
const (
	RejectRow = "reject"
	SendRow   = "send"
	HoldRow   = "hold" // future only: keep the mark before the row until it is due
)

// Policies for NULL properties of profiles.
const (
	NullsSkip  = "skip"
	NullsUnset = "unset"
	NullsSend  = "send"
)

// Spec is everything of a sync that decides what its records look like.
type Spec struct {
	Sync           string
	Namespace      string // of insert ids; the sync's name unless set
	Type           Type
	Model          Model
	Token          string // project token: a member of every profile record
	PrimaryKey     []string
	Cursor         string // the cursor column; empty without one
	GroupKey       string
	GroupKeys      []string // properties that must be present besides
	Mapping        Mapping
	Properties     Properties
	MissingCompany string // RejectRow or SendRow
	MissingUser    string
	Nulls          string // profiles
	Future         string // events more than an hour ahead: RejectRow or HoldRow
	Location       *time.Location
}

// Fault is one thing wrong with a Spec, alone or against a schema. Path is
// relative to the sync: "mapping.time", "properties.rename.plan".
type Fault struct {
	Path    string
	Message string
	Hint    string
}

// Faults is all that is wrong at once.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = fmt.Sprintf("%s: %s", x.Path, x.Message)
	}
	return strings.Join(lines, "\n")
}

// Codes of rejected rows. They are part of the contract: add, never rename.
const (
	CodeMissingCompany    = "missing_company"
	CodeMissingUser       = "missing_user"
	CodeMissingID         = "missing_id"
	CodeBlankID           = "blank_id"
	CodeJunkID            = "junk_id"
	CodePrefixedID        = "prefixed_id"
	CodeBadTime           = "bad_time"
	CodeTimeOutOfRange    = "time_out_of_range"
	CodeBadEventName      = "bad_event_name"
	CodeBadInsertID       = "bad_insert_id"
	CodeTooManyProperties = "too_many_properties"
	CodeTooLarge          = "too_large"
	CodeUnencodable       = "unencodable"
	CodeDuplicateKey      = "duplicate_key"
	CodeRefused           = "refused_by_mixpanel"
)

// Reject is a row that cannot be sent, and why.
type Reject struct {
	Code    string
	Field   string // the mapping or column at fault
	Message string
	// Ahead says that the row is right, but before its time: a later read sends it.
	Ahead bool
}

// Row is what a record is, beyond its bytes. Hashes are 64 bits of SHA-256 and
// stable for ever: they are kept in the state.
type Row struct {
	Key  uint64 // of the primary key
	Sent uint64 // of what "the same was sent before" means: (event, time, distinct_id, $insert_id), or the whole profile record
	Lane uint64 // rows of one non-zero lane must be sent in order, one request at a time; 0: any order
	Hold bool   // not due yet (Spec.Future is HoldRow)
	More bool   // AppendMore has a second record for this row ($unset of NULL properties)
}

// Stats counts what was changed on the way, for the run's report.
type Stats struct {
	NonFinite int // NaN and infinite values omitted
	Truncated int // strings cut to Mixpanel's limit
	Replaced  int // strings with invalid UTF-8 mended
	Misfits   int // values omitted because they are not of the type that Properties.Types asks for
}

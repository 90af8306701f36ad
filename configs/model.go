package configs

import (
	"time"

	"github.com/mixsync/mixsync/mapping"
)

// File is a configuration as understood: defaults filled in, references
// expanded, everything checked that needs no warehouse. It is read-only.
type File struct {
	Version    int
	State      string        // "sqlite:<path>" or a postgres:// URL, which may hold a password
	Lease      time.Duration // how long a run holds its sync and project without renewing
	Warehouses map[string]*Warehouse
	Projects   map[string]*Project
	Syncs      []*Sync // in YAML order

	defaults Sync // what stands under defaults; already applied to Syncs
	rejects  string
	where    map[string]Position
	open     map[string]string
}

// Sync returns the sync called name, nil if there is none.
func (f *File) Sync(name string) *Sync {
	for _, s := range f.Syncs {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Where returns the position of a path such as "syncs.usage.mapping.time", or of
// its longest known prefix, for faults found later against the live schema. It
// is false only for a File that was not loaded.
func (f *File) Where(path string) (Position, bool) { return lookup(f.where, path) }

// Fault makes an Error of one fault at a path.
func (f *File) Fault(path, message, hint string) Fault {
	pos, _ := f.Where(path)
	return Fault{Position: pos, Path: path, Message: message, Hint: hint}
}

// Mode is how a sync reads and what it does to Mixpanel.
type Mode string

const (
	Append Mode = "append" // events: rows after the mark
	Upsert Mode = "upsert" // profiles: rows after the mark overwrite
	Full   Mode = "full"   // every row, each time
	Mirror Mode = "mirror" // profiles: every row; what changed is sent, what is gone may be deleted
)

// Words of the settings that take one of a few.
const (
	Allow  = "allow" // resync
	Forbid = "forbid"

	Keep   = "keep" // on_delete
	Delete = "delete"

	PayloadFull = "full" // rejects.payload
	PayloadKeys = "keys"

	NullRowsError = "error" // cursor.null_rows
	NullRowsSkip  = "skip"

	SliceAuto = "auto" // cursor.slice
)

// Sync is one table or query, mapped to one record type of one or more projects.
type Sync struct {
	Name        string
	Description string
	Type        mapping.Type
	Warehouse   string   // a key of File.Warehouses
	Projects    []string // keys of File.Projects
	Table       string   // exactly one of Table and Query is set
	Query       string   // a single SELECT without its semicolon
	Mode        Mode
	Cursor      *Cursor // never nil with Append and Upsert
	// PrimaryKey is never empty once loaded: where it was left out it is the
	// columns that identify the record.
	PrimaryKey []string
	GroupKey   string
	GroupKeys  []string
	Mapping    mapping.Mapping
	Properties mapping.Properties

	Namespace string // of insert ids; the name unless set
	Identity  Identity
	Nulls     string // profiles: mapping.NullsSkip, NullsUnset or NullsSend
	Future    string // events: mapping.RejectRow or HoldRow

	MaxRejects     Threshold
	MaxRestated    Threshold // events
	RejectsPayload string    // PayloadFull or PayloadKeys
	OnDelete       string    // mirror: Keep or Delete
	Resync         string    // Allow or Forbid
	LookupTableID  string
	Parallel       int // slices at a time; events
	// SkipUnchanged skips runs of a table that the warehouse says has not changed.
	SkipUnchanged bool

	Schedule string // five cron fields, @hourly or @every 30s; empty: only by hand
	Timezone string
	Location *time.Location // of Timezone
	Tags     []string
	Disabled bool
}

// Cursor is how rows are ordered by when they became visible.
type Cursor struct {
	Column   string
	Lookback Lookback
	Settle   time.Duration // not for integer cursors
	MaxHold  time.Duration
	NullRows string // NullRowsError or NullRowsSkip
	Slice    Slice
	Start    string // a date, timestamp or integer in text; empty: from the first row
}

// Slice is how a window is cut: "auto", a calendar unit, or a count of integers.
type Slice string

// Identity says what becomes of events without company or user:
// mapping.RejectRow or mapping.SendRow.
type Identity struct {
	MissingCompany, MissingUser string
}

// Project is a Mixpanel project.
type Project struct {
	Name           string
	ProjectID      int64
	Region         string // us, eu or in
	Model          mapping.Model
	Token          Secret          // empty if only events and lookup tables are sent
	ServiceAccount *ServiceAccount // nil if the token is to do
	Concurrency    int             // number of senders; 0: it adapts
	APIURL         string          // all endpoints from one base, without trailing slash; empty: by region
	RequestTimeout time.Duration
}

// ServiceAccount is the credentials for /import and lookup tables.
type ServiceAccount struct {
	Username string
	Secret   Secret
}

// Types of warehouses.
const (
	TypePostgres  = "postgres"
	TypeSnowflake = "snowflake"
	TypeBigQuery  = "bigquery"
	TypeDuckDB    = "duckdb"
)

// Warehouse is a source. The block of its Type is set, the others are nil.
type Warehouse struct {
	Name, Type string
	Postgres   *Postgres
	Snowflake  *Snowflake
	BigQuery   *BigQuery
	DuckDB     *DuckDB
}

// Postgres is a connection to PostgreSQL.
type Postgres struct {
	DSN              Secret        // URL or keyword form
	StatementTimeout time.Duration // 0: the server's
	ConnectTimeout   time.Duration // 0: the DSN's, or the driver's
}

// Snowflake is a connection to Snowflake: by password, key pair or OAuth token.
type Snowflake struct {
	Account, User, Authenticator      string
	Password, Token                   Secret
	PrivateKey, PrivateKeyPassphrase  Secret // PEM
	Role, Warehouse, Database, Schema string
	QueryTag                          string
	Protocol, Host                    string // for a proxy or a test server; empty: https, by account
	Port                              int
	StatementTimeout, ConnectTimeout  time.Duration // 0: the account's, or the driver's
}

// BigQuery is access to BigQuery, by Application Default Credentials unless
// Credentials is set.
type BigQuery struct {
	Project, Location string
	Credentials       Secret // JSON of a service account or workload identity
	Impersonate       string // a service account to act as
	MaxBytesBilled    Bytes  // 0: no limit of ours
	Labels            map[string]string
	Priority          string // interactive or batch
	JobTimeout        time.Duration
	Endpoint          string // for a test server
	GRPCEndpoint      string
	Insecure          bool // no TLS and no credentials: only with Endpoint
}

// DuckDB is an embedded database.
type DuckDB struct {
	Path        string // a file, or ":memory:"
	MemoryLimit Bytes  // 0: DuckDB's own
	Threads     int    // 0: DuckDB's own
}

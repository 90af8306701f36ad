package snowflake

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	sf "github.com/snowflakedb/gosnowflake"

	_ "github.com/mixsync/mixsync/connectors/snowflake/quiet" // before the vendor's driver
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Options say how to connect. Account and one kind of credentials are required.
type Options struct {
	Account string // xy12345.eu-west-1 or organisation-account; a whole host name will do
	User    string
	// Authenticator is snowflake (password), snowflake_jwt (key pair), oauth or
	// programmatic_access_token; empty: what the credentials are of.
	Authenticator string
	Password      string
	Token         string // OAuth, or a programmatic access token
	// PrivateKey is PEM, PKCS#8 or PKCS#1, encrypted by PrivateKeyPassphrase or not.
	PrivateKey, PrivateKeyPassphrase string

	Role, Warehouse, Database, Schema string
	QueryTag                          string

	// Protocol, Host and Port are for a proxy or a test server; empty: https, by account.
	Protocol, Host string
	Port           int

	// StatementTimeout ends a query that runs for longer; 0 leaves the account's own setting.
	StatementTimeout time.Duration
	// ConnectTimeout bounds logging in; 0 is 40 s.
	ConnectTimeout time.Duration

	// retries is how often the vendor's driver repeats a request; 0 is its own default.
	retries int
}

const (
	defaultConnectTimeout = 40 * time.Second
	// Sessions kept for the next query: a run asks a few short ones in turn.
	maxIdle = 2
)

// Driver reads one Snowflake account. It is safe for concurrent use.
type Driver struct {
	config  sf.Config
	connect time.Duration // timeout
	wire    *transport

	mu     sync.Mutex
	idle   []*session
	closed bool
}

var (
	_ warehouse.Driver       = (*Driver)(nil)
	_ warehouse.Describer    = (*Driver)(nil)
	_ warehouse.ChangeTeller = (*Driver)(nil)
)

// silence turns the vendor's logger off, which writes to standard error by itself,
// and keeps its driver from asking the clouds' metadata servers where it runs: that
// delays the first login, and a worker calls nobody whom it was not told to call.
var silence = sync.OnceFunc(func() {
	const detection = "SNOWFLAKE_DISABLE_PLATFORM_DETECTION"
	if _, set := os.LookupEnv(detection); !set {
		_ = os.Setenv(detection, "true") // a valid name
	}
	logger := sf.GetLogger()
	logger.SetOutput(io.Discard)
	_ = logger.SetLogLevel("off") // the one level that cannot be refused
})

// Open logs in once, to tell at once what is wrong with the connection block, and
// returns the driver. Its errors are *warehouse.Error.
func Open(ctx context.Context, o Options) (*Driver, error) {
	silence()
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	d := &Driver{config: *config, connect: o.ConnectTimeout, wire: newTransport()}
	if d.connect <= 0 {
		d.connect = defaultConnectTimeout
	}
	d.config.Transporter = d.wire
	s, err := d.login(ctx)
	if err != nil {
		d.wire.base.CloseIdleConnections()
		return nil, err
	}
	d.release(s)
	return d, nil
}

// Close ends the idle sessions. Rows that are still open keep theirs.
func (d *Driver) Close() error {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.mu.Unlock()
	for _, s := range idle {
		s.end()
	}
	d.wire.base.CloseIdleConnections()
	return nil
}

// Clock reads the server's clock. Other transactions cannot be seen in Snowflake,
// by any role, so there is nothing to grant and nothing to warn of on every check:
// the lookback is what covers them.
func (d *Driver) Clock(ctx context.Context) (warehouse.Clock, error) {
	clock := warehouse.Clock{}
	err := d.each(ctx, "SELECT CURRENT_TIMESTAMP() AS now", func(b *warehouse.Batch, row int) error {
		c := &b.Cols[0]
		if c.Kind != warehouse.TimestampTZ && c.Kind != warehouse.Timestamp {
			return warehouse.Errorf(warehouse.ClassQuery, "", "the server's clock is %s, expected a timestamp", c.Kind)
		}
		clock.Now = time.UnixMicro(c.Int[row]).UTC()
		return nil
	})
	return clock, err
}

// Dialect is Snowflake's SQL.
func (d *Driver) Dialect() *warehouse.Dialect { return &dialect }

var dialect = warehouse.Dialect{
	Name:       "snowflake",
	Quote:      quote,
	QuoteTable: quoteTable,
	Bind:       bind,
	NullsLast:  true,
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func quoteText(text string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "'", "''") + "'"
}

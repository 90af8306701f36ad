package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	queryCanceled = "57014"

	dsnHint = "write dsn: postgres://user:password@host:5432/database?sslmode=verify-full, with special characters of the password " +
		"percent-encoded (@ is %40, / is %2F, # is %23), or dsn: host=… user=… password='…' dbname=…"
)

// dsnError tells what is wrong with a DSN. The parser's own message may quote a
// part of it that holds the password, so only what is safe is passed on.
func dsnError(err error) error {
	reason := "it is neither a URL nor a list of keywords"
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+len("`: "):]
	}
	for _, safe := range []string{"failed to configure TLS", "failed to read service", "invalid port", "could not match", "unknown target_session_attrs"} {
		if strings.HasPrefix(text, safe) {
			reason = text
		}
	}
	return warehouse.Errorf(warehouse.ClassConfig, dsnHint, "the dsn cannot be read: %s", reason)
}

// checkHost finds a password with a bare @ in it, the rest of which would else
// show up in messages as part of the host or the database.
func checkHost(dsn string, config *pgconn.Config) error {
	if !strings.Contains(dsn, "://") {
		return nil
	}
	suspect := strings.Contains(config.Host, "@") || strings.Contains(config.Database, "@")
	for _, f := range config.Fallbacks {
		suspect = suspect || strings.Contains(f.Host, "@")
	}
	if suspect {
		return warehouse.Errorf(warehouse.ClassConfig, dsnHint, "the dsn cannot be read: there is an @ behind the one that ends the password")
	}
	return nil
}

// connectError classifies a failure to connect.
func connectError(err error, config *pgconn.Config) error {
	reason := err
	var wrapped *pgconn.ConnectError
	if errors.As(err, &wrapped) {
		reason = wrapped.Unwrap()
	}
	e := &warehouse.Error{
		Class: warehouse.ClassUnreachable,
		Hint:  fmt.Sprintf("check host, port and sslmode in the dsn (it names %s, port %d), and that a firewall lets mixsync through", config.Host, config.Port),
		Err:   fmt.Errorf("connect to postgres: %s", oneLine(reason)),
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return e
	}
	e.Code = pg.Code
	switch {
	case pg.Code == "28P01", pg.Code == "28000", pg.Code == "42501":
		e.Class = warehouse.ClassCredentials
		e.Hint = fmt.Sprintf("check user and password in the dsn (it names user %q), and that the server lets this role in", config.User)
	case pg.Code == "3D000":
		e.Hint = fmt.Sprintf("the dsn names database %q: check it", config.Database)
	case transient(pg.Code):
		e.Class = warehouse.ClassTransient
		e.Hint = ""
	}
	return e
}

// oneLine joins what was said of each address, which is often the same.
func oneLine(err error) string {
	return strings.Join(slices.Compact(strings.Split(err.Error(), "\n")), "; ")
}

// classify classifies a failure of a statement.
func classify(err error) *warehouse.Error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		// Not the server's word: the connection broke.
		return &warehouse.Error{Class: warehouse.ClassTransient, Err: fmt.Errorf("the connection to postgres was lost: %w", err)}
	}
	e := &warehouse.Error{Class: warehouse.ClassQuery, Code: pg.Code, Hint: pg.Hint, Err: fmt.Errorf("postgres: %s (SQLSTATE %s)", pg.Message, pg.Code)}
	hint := ""
	switch {
	case transient(pg.Code):
		e.Class = warehouse.ClassTransient
	case pg.Code == "42501":
		e.Class = warehouse.ClassCredentials
		hint = "let the dsn's role read it: GRANT USAGE ON SCHEMA … TO role; GRANT SELECT ON … TO role"
	case pg.Code == "42P01" || pg.Code == "3F000":
		e.Class = warehouse.ClassSchema
		hint = "check the table's name: it is written schema.table, with upper and lower case as in the database"
	case pg.Code == "42703":
		e.Class = warehouse.ClassSchema
		hint = "check the column's name, with upper and lower case as in the database"
	case pg.Code == "42702":
		e.Class = warehouse.ClassSchema
		hint = "the query returns two columns of this name: give one of them another with AS"
	case pg.Code == "25006":
		e.Class = warehouse.ClassSchema
		hint = "mixsync only reads: the query must be a single SELECT that changes nothing"
	case strings.HasPrefix(pg.Code, "42"):
		e.Class = warehouse.ClassSchema
		hint = "the query must be a single SELECT that runs as it stands: try it in psql"
	case pg.Code == queryCanceled:
		hint = "an index on the cursor column (and the primary key after it) makes the read quick; or raise statement_timeout for this role"
	}
	if e.Hint == "" {
		e.Hint = hint
	}
	return e
}

// transient tells the codes that another try may mend: lost connections,
// shutdown and restart, too many connections, serialization failures,
// conflicts with recovery on a standby, locks, idle sessions that were ended.
func transient(code string) bool {
	switch code {
	case "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "57P05", "25P03":
		return true
	}
	return strings.HasPrefix(code, "08")
}

package snowflake

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	grantHint = "check the name, with database and schema (DB.SCHEMA.TABLE; unquoted names are upper case), and let the role read it: GRANT USAGE ON DATABASE … TO ROLE …; " +
		"GRANT USAGE ON SCHEMA … TO ROLE …; GRANT SELECT ON … TO ROLE …"
	warehouseHint = "name a virtual warehouse by warehouse: that the role may use (GRANT USAGE ON WAREHOUSE … TO ROLE …) and that resumes by itself " +
		"(ALTER WAREHOUSE … SET AUTO_RESUME = TRUE), or let the role resume it (GRANT OPERATE)"
)

// known is what a code of Snowflake's means and how to mend it.
type known struct {
	class warehouse.Class
	hint  string
}

// logins are codes of a login that is refused.
var logins = map[int]known{
	390100: {warehouse.ClassCredentials, "check user and password; Snowflake is ending passwords for services: a key pair (private_key) goes on"},
	390102: {warehouse.ClassCredentials, "the user is locked or disabled: ALTER USER … SET MINS_TO_UNLOCK = 0, or DISABLED = FALSE"},
	390101: {warehouse.ClassCredentials, "the user is disabled or locked: ask an administrator of the account"},
	390144: {warehouse.ClassCredentials, "the key is not the user's, or the clock is wrong: ALTER USER … SET RSA_PUBLIC_KEY = '…' with the key that openssl rsa -pubout prints; check account and user too"},
	390186: {warehouse.ClassCredentials, "grant the role to the user: GRANT ROLE … TO USER …"},
	390189: {warehouse.ClassCredentials, "check role, and grant it to the user: GRANT ROLE … TO USER …"},
	390190: {warehouse.ClassCredentials, "log in with a key pair, a token or a password instead of SAML"},
	390197: {warehouse.ClassCredentials, "the user must use multi-factor authentication, which a worker cannot: ALTER USER … SET TYPE = SERVICE and use a key pair"},
	390201: {warehouse.ClassCredentials, "check warehouse, database, schema and role of the connection block, and let the role use them: GRANT USAGE ON … TO ROLE …"},
	390302: {warehouse.ClassCredentials, "check the OAuth security integration of the account"},
	390303: {warehouse.ClassCredentials, "the OAuth token is not one of this account: get a new one; a programmatic access token needs authenticator: programmatic_access_token"},
	390317: {warehouse.ClassCredentials, "the OAuth token is for another role: leave role out, or get a token for it"},
	390318: {warehouse.ClassCredentials, "the OAuth token has expired: give mixsync a fresh one at each start, or use a key pair, which does not expire"},
	390400: {warehouse.ClassCredentials, "the programmatic access token is wrong, expired or disabled: ALTER USER … ADD PROGRAMMATIC ACCESS TOKEN"},
	390420: {warehouse.ClassCredentials, "a network policy of the account keeps this machine's address out: have it let in"},
	390422: {warehouse.ClassCredentials, "a network policy of the account keeps this machine's address out: have it let in"},
	394400: {warehouse.ClassCredentials, "the programmatic access token is wrong, expired or disabled: ALTER USER … ADD PROGRAMMATIC ACCESS TOKEN"},
}

// statements are codes of a statement that fails.
var statements = map[int]known{
	2003:  {warehouse.ClassSchema, grantHint},
	2043:  {warehouse.ClassSchema, grantHint},
	3001:  {warehouse.ClassCredentials, grantHint},
	904:   {warehouse.ClassSchema, "check the column's name; Snowflake folds names without quotes to upper case"},
	957:   {warehouse.ClassSchema, "the query returns two columns of this name: give one of them another with AS"},
	2025:  {warehouse.ClassSchema, "the query returns two columns of this name: give one of them another with AS"},
	2028:  {warehouse.ClassSchema, "two columns have this name: say whose it is, or give one of them another with AS"},
	606:   {warehouse.ClassCredentials, warehouseHint},
	608:   {warehouse.ClassCredentials, warehouseHint},
	90073: {warehouse.ClassQuery, "a resource monitor keeps the virtual warehouse from resuming: raise its quota, or name another warehouse"},
	630:   {warehouse.ClassQuery, "raise statement_timeout of this warehouse, or have a shorter window read at a time by cursor.slice; the virtual warehouse and the user have a limit as well"},
	604:   {warehouse.ClassQuery, "somebody cancelled the query, or a limit of the virtual warehouse did"},
	90105: {warehouse.ClassSchema, "name database and schema in the connection block, or in the table's name: DB.SCHEMA.TABLE"},
	90106: {warehouse.ClassSchema, "name database and schema in the connection block, or in the table's name: DB.SCHEMA.TABLE"},
}

// unreachable is a login that found no server.
func unreachable(c *sf.Config, err error) error {
	return warehouse.Errorf(warehouse.ClassUnreachable, "check account (its host is "+c.Host+"), and that a firewall or proxy lets mixsync through; "+accountHint,
		"connect to snowflake at %s: %w", c.Host, plain(err))
}

// loginError classifies a login that failed.
func loginError(c *sf.Config, limit time.Duration, last string, err error) error {
	var e *sf.SnowflakeError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unreachable(c, fmt.Errorf("no login within %v%s", limit, last))
	case !errors.As(err, &e):
		return unreachable(c, err)
	}
	code := fmt.Sprintf("%06d", e.Number)
	if e.Number >= 260000 && e.Number < 270000 { // the driver's own
		if e.Number == sf.ErrFailedToAuth || e.Number == sf.ErrCodeFailedToConnect || e.Number == sf.ErrCodeServiceUnavailable {
			return &warehouse.Error{Class: warehouse.ClassUnreachable, Code: code, Hint: accountHint,
				Err: fmt.Errorf("connect to snowflake at %s: account %q is not known there%s", c.Host, c.Account, status(e))}
		}
		return &warehouse.Error{Class: warehouse.ClassConfig, Code: code, Hint: accountHint, Err: fmt.Errorf("the connection block of the snowflake warehouse: %s", e.Message)}
	}
	k, ok := logins[e.Number]
	switch {
	case ok:
	case strings.Contains(e.Message, "JWT"):
		k = logins[390144]
	default:
		k = known{warehouse.ClassCredentials, fmt.Sprintf("check user (it is %q) and credentials, and that the account lets this user in", c.User)}
	}
	return &warehouse.Error{Class: k.class, Code: code, Hint: k.hint, Err: fmt.Errorf("log in to snowflake: %s (%s)", oneLine(e.Message), code)}
}

// status is the HTTP status that the driver gave up on.
func status(e *sf.SnowflakeError) string {
	if len(e.MessageArgs) > 0 {
		return fmt.Sprintf(" (HTTP %v)", e.MessageArgs[0])
	}
	return ""
}

// classify classifies a failure of a statement.
func classify(err error) error {
	var e *sf.SnowflakeError
	if !errors.As(err, &e) {
		if gaveUp(err) {
			return warehouse.Errorf(warehouse.ClassUnreachable, "check the network between mixsync and Snowflake", "snowflake does not answer: %w", plain(err))
		}
		return &warehouse.Error{Class: warehouse.ClassTransient, Err: fmt.Errorf("the connection to snowflake was lost: %w", plain(err))}
	}
	code := fmt.Sprintf("%06d", e.Number)
	if e.Number >= 260000 && e.Number < 270000 {
		return &warehouse.Error{Class: warehouse.ClassTransient, Code: code, Err: fmt.Errorf("snowflake did not take the query%s", status(e))}
	}
	k, ok := statements[e.Number]
	switch {
	case ok:
	case e.Number >= 390000 && e.Number < 395000:
		if k, ok = logins[e.Number]; !ok {
			k = known{warehouse.ClassCredentials, "log in again: check the credentials of this warehouse"}
		}
	case strings.Contains(e.Message, "does not exist or not authorized"):
		k = statements[2003]
	case e.SQLState == "57014":
		k = statements[604]
	case strings.HasPrefix(e.SQLState, "42"):
		k = known{warehouse.ClassSchema, "the query must be a single SELECT that runs as it stands: try it in a Snowflake worksheet, with mixsync's role"}
	case e.SQLState == "22018", e.SQLState == "22007", e.SQLState == "22003":
		k = known{warehouse.ClassQuery, "a value does not fit the type it is turned into: cast the column with TRY_CAST in a query, which gives NULL for it"}
	}
	which, id := code, ""
	if e.QueryID != "-1" { // the driver's word for none
		id = e.QueryID
	}
	if id != "" {
		which += ", query " + id
	}
	return &warehouse.Error{Class: k.class, Code: code, QueryID: id, Hint: k.hint, Err: fmt.Errorf("snowflake: %s (%s)", oneLine(e.Message), which)}
}

// gaveUp reports whether the vendor's driver has used up its tries.
func gaveUp(err error) bool {
	text := err.Error()
	if strings.Contains(text, "Hanging?") {
		return true
	}
	var u *url.Error
	return errors.As(err, &u) // a request that could not be made, again and again
}

// plain takes the address off an error, which may hold a signature.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// oneLine folds a message of several lines: "SQL compilation error:\nObject…".
func oneLine(message string) string { return strings.Join(strings.Fields(message), " ") }

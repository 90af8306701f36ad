package snowflake

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	sf "github.com/snowflakedb/gosnowflake"
	"github.com/youmark/pkcs8"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	accountHint = "write account as xy12345.eu-west-1 or organisation-account: what stands before .snowflakecomputing.com in the address you log in at"
	browserHint = "a worker has no browser: give private_key (a key pair), a token (OAuth or a programmatic access token), or a password"
	keyHint     = "private_key is the PEM of an RSA key: openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM -out snowflake.p8; " +
		"an encrypted one needs private_key_passphrase; read it with ${file:/run/secrets/snowflake.p8}"
)

// config turns the options into the vendor's, with the session's settings as
// parameters of the login.
func (o Options) config() (*sf.Config, error) {
	c := &sf.Config{
		User: o.User, Role: o.Role, Warehouse: o.Warehouse, Database: o.Database, Schema: o.Schema,
		Protocol: o.Protocol, Port: o.Port, MaxRetryCount: o.retries,
		Application: "mixsync",
		Params:      o.parameters(),
	}
	if err := o.address(c); err != nil {
		return nil, err
	}
	if err := o.credentials(c); err != nil {
		return nil, err
	}
	if o.User == "" && c.Authenticator != sf.AuthTypeOAuth {
		return nil, warehouse.Errorf(warehouse.ClassConfig, "name the user that mixsync logs in as", "user of the snowflake warehouse is missing")
	}
	return c, nil
}

func (o Options) parameters() map[string]*string {
	settings := map[string]string{
		"TIMEZONE":                 "UTC",
		"CLIENT_TELEMETRY_ENABLED": "false",
		"GO_QUERY_RESULT_FORMAT":   "ARROW",
		"BINARY_OUTPUT_FORMAT":     "HEX",
		"GEOGRAPHY_OUTPUT_FORMAT":  "GeoJSON",
		"GEOMETRY_OUTPUT_FORMAT":   "GeoJSON",
	}
	if o.QueryTag != "" {
		settings["QUERY_TAG"] = o.QueryTag
	}
	if o.StatementTimeout > 0 {
		seconds := (o.StatementTimeout + time.Second - 1) / time.Second
		settings["STATEMENT_TIMEOUT_IN_SECONDS"] = strconv.FormatInt(int64(seconds), 10)
	}
	params := make(map[string]*string, len(settings))
	for name, value := range maps.All(settings) {
		params[name] = &value
	}
	return params
}

// address finds the host by the account, which may be a whole host name or address.
func (o Options) address(c *sf.Config) error {
	account := strings.TrimSuffix(strings.TrimSpace(o.Account), "/")
	for _, scheme := range []string{"https://", "http://"} {
		account = strings.TrimPrefix(account, scheme)
	}
	domain := ".snowflakecomputing.com"
	if i := strings.Index(strings.ToLower(account), ".snowflakecomputing."); i >= 0 {
		account, domain = account[:i], account[i:]
	}
	name, region, _ := strings.Cut(account, ".")
	if name == "" || strings.ContainsAny(account, "/@: ") {
		return warehouse.Errorf(warehouse.ClassConfig, accountHint, "account %q of the snowflake warehouse is none", o.Account)
	}
	if strings.HasPrefix(strings.ToLower(region), "cn-") {
		domain = ".snowflakecomputing.cn"
	}
	c.Account, c.Host = name, o.Host
	if c.Host == "" {
		c.Host = account + domain
	}
	if c.Protocol != "" && c.Protocol != "http" && c.Protocol != "https" {
		return warehouse.Errorf(warehouse.ClassConfig, "write https, or http for a test server", "protocol %q of the snowflake warehouse is none", c.Protocol)
	}
	if c.Port == 0 && c.Protocol == "http" {
		c.Port = 80
	}
	return nil
}

// credentials chooses how to log in.
func (o Options) credentials(c *sf.Config) error {
	given := func(value, field string) error {
		if strings.TrimSpace(value) == "" {
			return warehouse.Errorf(warehouse.ClassConfig, "give "+field+", or leave authenticator out", "authenticator %s needs %s", o.Authenticator, field)
		}
		return nil
	}
	switch strings.ToLower(o.Authenticator) {
	case "":
		return o.guess(c)
	case "snowflake":
		c.Authenticator, c.Password = sf.AuthTypeSnowflake, o.Password
		return given(o.Password, "password")
	case "snowflake_jwt":
		c.Authenticator = sf.AuthTypeJwt
		if err := given(o.PrivateKey, "private_key"); err != nil {
			return err
		}
		return o.key(c)
	case "oauth":
		c.Authenticator, c.Token = sf.AuthTypeOAuth, strings.TrimSpace(o.Token)
		return given(o.Token, "token")
	case "programmatic_access_token":
		c.Authenticator, c.Token = sf.AuthTypePat, strings.TrimSpace(o.Token)
		return given(o.Token, "token")
	case "externalbrowser", "username_password_mfa", "oauth_authorization_code":
		return warehouse.Errorf(warehouse.ClassConfig, browserHint, "authenticator %s asks a person to log in", o.Authenticator)
	}
	return warehouse.Errorf(warehouse.ClassConfig, "write snowflake, snowflake_jwt, oauth or programmatic_access_token, or leave it out",
		"authenticator %q is not supported", o.Authenticator)
}

// guess goes by the one credential that is given.
func (o Options) guess(c *sf.Config) error {
	var given []string
	for _, x := range []struct{ name, value string }{{"password", o.Password}, {"private_key", o.PrivateKey}, {"token", o.Token}} {
		if strings.TrimSpace(x.value) != "" {
			given = append(given, x.name)
		}
	}
	if len(given) != 1 {
		found := "none"
		if len(given) > 0 {
			found = strings.Join(given, " and ")
		}
		return warehouse.Errorf(warehouse.ClassConfig, "give one of password, private_key and token, or say which by authenticator",
			"credentials of the snowflake warehouse: %s", found)
	}
	switch given[0] {
	case "private_key":
		c.Authenticator = sf.AuthTypeJwt
		return o.key(c)
	case "token":
		c.Authenticator, c.Token = sf.AuthTypeOAuth, strings.TrimSpace(o.Token)
	default:
		c.Authenticator, c.Password = sf.AuthTypeSnowflake, o.Password
	}
	return nil
}

func (o Options) key(c *sf.Config) error {
	key, err := parseKey(o.PrivateKey, o.PrivateKeyPassphrase)
	if err != nil {
		return warehouse.Errorf(warehouse.ClassConfig, keyHint, "private_key of the snowflake warehouse: %w", err)
	}
	c.Authenticator, c.PrivateKey = sf.AuthTypeJwt, key
	return nil
}

// parseKey reads an RSA key from PEM. Its errors hold nothing of the key.
func parseKey(text, passphrase string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, errors.New("it is not PEM: it begins with -----BEGIN and keeps its line breaks")
	}
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		if passphrase == "" {
			return nil, errors.New("it is encrypted, and private_key_passphrase is missing")
		}
		key, err := pkcs8.ParsePKCS8PrivateKeyRSA(block.Bytes, []byte(passphrase))
		if err != nil {
			return nil, errors.New("it cannot be decrypted: the passphrase is another, or the key is no RSA key")
		}
		return key, nil
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("it is encrypted in an old way: convert it with openssl pkcs8 -topk8")
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("it is damaged")
		}
		return key, nil
	case "PRIVATE KEY":
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("it is damaged")
		}
		if key, ok := parsed.(*rsa.PrivateKey); ok {
			return key, nil
		}
		return nil, errors.New("it is no RSA key")
	}
	return nil, fmt.Errorf("it is a PEM of type %q, expected PRIVATE KEY", block.Type)
}

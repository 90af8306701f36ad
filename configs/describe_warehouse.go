package configs

import (
	"errors"

	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var postgresObject = object[Postgres]{
	fields: []field[Postgres]{
		bind("dsn", "The connection, as a URL or in keyword form; TLS by its own parameters (sslmode, sslrootcert).", secret("a connection URL or keyword string"),
			func(p *Postgres) *Secret { return &p.DSN }).must("dsn: postgres://user:password@host:5432/database?sslmode=verify-full"),
		bind("statement_timeout", "How long one statement may take.", duration(0), func(p *Postgres) *time.Duration { return &p.StatementTimeout }),
		bind("connect_timeout", "How long connecting may take.", duration(0), func(p *Postgres) *time.Duration { return &p.ConnectTimeout }),
	},
	foreign: postgresForeign,
}

var snowflakeObject = object[Snowflake]{
	fields: []field[Snowflake]{
		bind("account", "The account identifier, such as xy12345.eu-west-1 or org-account.", text("an account identifier"),
			func(s *Snowflake) *string { return &s.Account }).must("account: xy12345.eu-west-1"),
		bind("user", "The user; not needed with an OAuth token.", text("a user name"), func(s *Snowflake) *string { return &s.User }),
		bind("password", "The user's password.", secret("a password"), func(s *Snowflake) *Secret { return &s.Password }),
		bind("private_key", "The user's private key, in PEM.", secret("a private key in PEM"), func(s *Snowflake) *Secret { return &s.PrivateKey }),
		bind("private_key_passphrase", "The passphrase of an encrypted private key.", secret("a passphrase"), func(s *Snowflake) *Secret { return &s.PrivateKeyPassphrase }),
		bind("token", "An OAuth or programmatic access token.", secret("a token"), func(s *Snowflake) *Secret { return &s.Token }),
		bind("authenticator", "The driver's authenticator, if not the one the credentials imply.", text("an authenticator"), func(s *Snowflake) *string { return &s.Authenticator }),
		bind("role", "The role to use.", text("a role"), func(s *Snowflake) *string { return &s.Role }),
		bind("warehouse", "The virtual warehouse that runs the queries.", text("a virtual warehouse"), func(s *Snowflake) *string { return &s.Warehouse }),
		bind("database", "The database of unqualified tables.", text("a database"), func(s *Snowflake) *string { return &s.Database }),
		bind("schema", "The schema of unqualified tables.", text("a schema"), func(s *Snowflake) *string { return &s.Schema }),
		bind("query_tag", "The tag of mixsync's queries in the account's history.", text("a tag"), func(s *Snowflake) *string { return &s.QueryTag }),
		bind("protocol", "For a proxy or a test server.", enum("https", "http"), func(s *Snowflake) *string { return &s.Protocol }),
		bind("host", "For a proxy or a test server.", text("a host name"), func(s *Snowflake) *string { return &s.Host }),
		bind("port", "For a proxy or a test server.", integer("a port", 1, 65535), func(s *Snowflake) *int { return &s.Port }),
		bind("statement_timeout", "How long one statement may take.", duration(0), func(s *Snowflake) *time.Duration { return &s.StatementTimeout }),
		bind("connect_timeout", "How long logging in may take.", duration(0), func(s *Snowflake) *time.Duration { return &s.ConnectTimeout }),
	},
	foreign: snowflakeForeign,
}

var bigqueryObject = object[BigQuery]{
	fields: []field[BigQuery]{
		bind("project", "The Google Cloud project that runs and pays for the queries.", text("a Google Cloud project"),
			func(b *BigQuery) *string { return &b.Project }).must("project: the Google Cloud project that pays for the queries"),
		bind("location", "The location of the data sets, such as EU.", text("a location such as EU"), func(b *BigQuery) *string { return &b.Location }),
		bind("credentials", "Credentials in JSON. Without them, Application Default Credentials.", secret("credentials in JSON, such as ${file:/run/secrets/bq.json}"),
			func(b *BigQuery) *Secret { return &b.Credentials }),
		bind("impersonate", "A service account to act as.", text("a service account's e-mail address"), func(b *BigQuery) *string { return &b.Impersonate }),
		bind("max_bytes_billed", "A query that would bill more fails before it runs.", size(), func(b *BigQuery) *Bytes { return &b.MaxBytesBilled }),
		bind("labels", "Labels of mixsync's jobs, for billing reports.", table(text("a label's value"), checkLabel), func(b *BigQuery) *map[string]string { return &b.Labels }),
		bind("priority", "interactive runs at once; batch waits for idle slots.", enum("interactive", "batch"), func(b *BigQuery) *string { return &b.Priority }),
		bind("job_timeout", "How long one query job may take.", duration(0), func(b *BigQuery) *time.Duration { return &b.JobTimeout }),
		bind("endpoint", "The REST endpoint of a test server.", endpoint(), func(b *BigQuery) *string { return &b.Endpoint }),
		bind("grpc_endpoint", "The Storage Read API's endpoint of a test server.", endpoint(), func(b *BigQuery) *string { return &b.GRPCEndpoint }),
		bind("insecure", "No TLS and no credentials: for a test server.", boolean(), func(b *BigQuery) *bool { return &b.Insecure }),
	},
	foreign: bigqueryForeign,
}

// isLabel follows BigQuery's rule for the keys of labels.
func isLabel(s string) bool {
	for i, r := range s {
		if !unicode.In(r, unicode.Ll, unicode.Lo) && (i == 0 || !unicode.IsNumber(r) && r != '_' && r != '-') {
			return false
		}
	}
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= 63
}

func checkLabel(key string) error {
	if !isLabel(key) {
		return errors.New("is not a label's key: lower-case letters, digits, _ and -, at most 63, beginning with a letter")
	}
	return nil
}

var duckdbObject = object[DuckDB]{
	fields: []field[DuckDB]{
		withDefault("path", "A database file, or :memory: where the queries name Parquet, CSV or JSON files.", text("a file, or :memory:"),
			func(d *DuckDB) *string { return &d.Path }, ":memory:"),
		bind("memory_limit", "How much memory DuckDB may use.", size(), func(d *DuckDB) *Bytes { return &d.MemoryLimit }),
		bind("threads", "How many threads DuckDB may use.", integer("a number of threads", 1, 1024), func(d *DuckDB) *int { return &d.Threads }),
	},
	foreign: map[string]string{"database": "write path", "file": "write path", "filename": "write path", "dsn": "write path", "schema": "name it in the sync's table: schema.table"},
}

// variant is one type of warehouse: its block, seen through Warehouse.
type variant struct {
	name  string
	block codec[Warehouse]
	read  func(d *decoder, n node, entries []entry, w *Warehouse)
}

// variantOf makes a variant of the type's object and its place in Warehouse.
func variantOf[T any](name string, o *object[T], at func(*Warehouse) **T) variant {
	inner := o.codec()
	typed := *o
	typed.fields = append([]field[T]{typeField[T](name)}, o.fields...)
	read := func(d *decoder, n node, entries []entry, w *Warehouse) {
		*at(w) = new(T)
		typed.read(d, entries, *at(w))
		o.require(d, n)
	}
	return variant{name: name, read: read, block: codec[Warehouse]{
		encode: func(e *encoder, path string, w Warehouse) *yaml.Node { return inner.encode(e, path, **at(&w)) },
		fill:   func(d *decoder, path string, w *Warehouse) { inner.fill(d, path, *at(w)) },
		schema: func() schema {
			s := inner.schema()
			s["properties"].(schema)["type"] = schema{"const": name, "description": "The type of the warehouse."}
			required, _ := s["required"].([]string)
			s["required"] = append([]string{"type"}, required...)
			return s
		},
	}}
}

// typeField lets type stand in the block; it is read before the block is.
func typeField[T any](name string) field[T] {
	return field[T]{key: "type", decode: func(*decoder, node, *T) {}}
}

var variants = []variant{
	variantOf(TypePostgres, &postgresObject, func(w *Warehouse) **Postgres { return &w.Postgres }),
	variantOf(TypeSnowflake, &snowflakeObject, func(w *Warehouse) **Snowflake { return &w.Snowflake }),
	variantOf(TypeBigQuery, &bigqueryObject, func(w *Warehouse) **BigQuery { return &w.BigQuery }),
	variantOf(TypeDuckDB, &duckdbObject, func(w *Warehouse) **DuckDB { return &w.DuckDB }),
}

func variantNamed(name string) *variant {
	for i := range variants {
		if variants[i].name == name {
			return &variants[i]
		}
	}
	return nil
}

// warehouseCodec reads the type first, then the block by the type's own keys.
func warehouseCodec() codec[Warehouse] {
	kind := enum(TypePostgres, TypeSnowflake, TypeBigQuery, TypeDuckDB)
	return codec[Warehouse]{
		decode: func(d *decoder, n node, w *Warehouse) {
			entries, ok := d.entries(n)
			if !ok {
				return
			}
			i := slices.IndexFunc(entries, func(e entry) bool { return e.key == "type" })
			if i < 0 {
				d.faultf(node{path: join(n.path, "type"), pos: n.pos}, "type: postgres, snowflake, bigquery or duckdb", "is missing")
				return
			}
			kind.decode(d, entries[i].node, &w.Type)
			if v := variantNamed(w.Type); v != nil {
				v.read(d, n, entries, w)
			}
		},
		encode: func(e *encoder, path string, w Warehouse) *yaml.Node {
			out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			e.pair(out, join(path, "type"), "type", e.text(w.Type))
			if v := variantNamed(w.Type); v != nil {
				if block := v.block.encode(e, path, w); block != nil {
					out.Content = append(out.Content, block.Content...)
				}
			}
			return out
		},
		fill: func(d *decoder, path string, w *Warehouse) {
			if v := variantNamed(w.Type); v != nil {
				v.block.fill(d, path, w)
			}
		},
		schema: func() schema {
			blocks := make([]any, len(variants))
			for i, v := range variants {
				blocks[i] = v.block.schema()
			}
			return schema{"oneOf": blocks}
		},
	}
}

package configs

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/mapping"
)

// check finds what is wrong between keys, once every one of them is read.
func (f *File) check(d *decoder) {
	for _, w := range sorted(f.Warehouses) {
		checkWarehouse(d, join("warehouses", w.name), w.value)
	}
	for _, p := range sorted(f.Projects) {
		checkProject(d, join("projects", p.name), p.value)
	}
	f.checkNames(d, "defaults", &f.defaults)
	for _, s := range f.Syncs {
		c := syncCheck{decoder: d, file: f, sync: s, path: join("syncs", s.Name)}
		c.all()
	}
	f.checkTokens(d)
	if d.stands("syncs") && len(f.Syncs) == 0 {
		d.faultAt("syncs", "add one: syncs: {usage: {type: event, …}}", "holds no sync")
	}
}

// checkNames looks the warehouse and the projects of a sync up.
func (f *File) checkNames(d *decoder, path string, s *Sync) {
	if at := join(path, "warehouse"); s.Warehouse != "" && !d.inherited(path, "warehouse") && !d.isOpen(at) && f.Warehouses[s.Warehouse] == nil {
		d.faultAt(at, suggestName(s.Warehouse, f.Warehouses, "warehouses"), "there is no warehouse %q", s.Warehouse)
	}
	for i, name := range s.Projects {
		if d.inherited(path, "project") {
			break
		}
		at := join(path, "project")
		if item := fmt.Sprintf("%s[%d]", at, i); d.has(item) {
			at = item
		}
		if !d.isOpen(at) && f.Projects[name] == nil {
			d.faultAt(at, suggestName(name, f.Projects, "projects"), "there is no project %q", name)
		}
	}
}

// inherited reports whether a sync has the key from the defaults, where it is
// checked once for all.
func (d *decoder) inherited(path, key string) bool {
	from, ok := d.where[join("defaults", key)]
	return ok && path != "defaults" && d.where[join(path, key)] == from
}

func suggestName[V any](name string, known map[string]*V, section string) string {
	keys := sortedKeys(known)
	switch hint := didYouMean(name, keys); {
	case hint != "":
		return hint
	case len(keys) == 0:
		return fmt.Sprintf("declare it under %s", section)
	default:
		return fmt.Sprintf("declare it under %s; there are %s", section, strings.Join(keys, ", "))
	}
}

// checkTokens asks for a project's token where profiles are sent to it, and for
// its service account where lookup tables are: Mixpanel takes no other credential.
func (f *File) checkTokens(d *decoder) {
	asked := map[string]bool{}
	ask := func(path, hint, what, sync string) {
		if !d.has(path) && !asked[path] {
			asked[path] = true
			d.faultAt(path, hint, "is missing; %s such as sync %q need it", what, sync)
		}
	}
	for _, s := range f.Syncs {
		for _, name := range s.Projects {
			path := join("projects", name)
			switch {
			case f.Projects[name] == nil: // its fault is filed
			case s.Type == mapping.Group || s.Type == mapping.User:
				ask(join(path, "token"), "token: ${MIXPANEL_TOKEN}", "profiles", s.Name)
			case s.Type == mapping.Lookup:
				ask(join(path, "service_account"), "service_account: {username: …, secret: …}", "lookup tables", s.Name)
			}
		}
	}
}

func checkProject(d *decoder, path string, p *Project) {
	if p.Region == "" && p.APIURL == "" && !d.has(join(path, "region")) && !d.has(join(path, "api_url")) {
		d.faultAt(join(path, "region"), "region: us, eu or in, where the project's data lives", "is missing")
	}
	if !d.has(join(path, "token")) && !d.has(join(path, "service_account")) {
		d.faultAt(path, "service_account: {username: …, secret: …} for events, token for profiles", "has neither a service_account nor a token")
	}
}

func checkWarehouse(d *decoder, path string, w *Warehouse) {
	switch {
	case w.Postgres != nil:
		dsn := w.Postgres.DSN.Reveal()
		printed := dsn == mask // by Effective, which can be loaded again
		if dsn != "" && !printed && !d.isOpen(join(path, "dsn")) && !strings.Contains(dsn, "://") && !strings.Contains(dsn, "=") {
			d.faultAt(join(path, "dsn"), "postgres://user:password@host:5432/database, or host=… user=… dbname=…", "is neither a URL nor in keyword form")
		}
	case w.Snowflake != nil:
		checkSnowflake(d, path)
	case w.BigQuery != nil:
		if w.BigQuery.Insecure && !d.has(join(path, "endpoint")) {
			d.faultAt(join(path, "insecure"), "set endpoint as well, or remove insecure", "is for a test server, and there is no endpoint")
		}
		if w.BigQuery.Insecure && d.has(join(path, "credentials")) {
			d.faultAt(join(path, "credentials"), "remove credentials or insecure", "would be sent without TLS")
		}
		if u, err := url.Parse(w.BigQuery.Endpoint); err == nil && u.Scheme == "http" && !w.BigQuery.Insecure && !isLoopback(u.Hostname()) {
			d.faultAt(join(path, "endpoint"), "write https, or insecure: true for a test server, which sends none", "would send credentials in the clear")
		}
	}
}

func checkSnowflake(d *decoder, path string) {
	var given []string
	for _, key := range []string{"password", "private_key", "token"} {
		if d.has(join(path, key)) {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0 && !d.has(join(path, "authenticator")):
		d.faultAt(path, "private_key: ${file:/run/secrets/snowflake.p8}", "has no credential: password, private_key or token")
	case len(given) > 1:
		d.faultAt(join(path, given[1]), "keep one of them", "stands beside %s; Snowflake takes one credential", given[0])
	}
	if !d.has(join(path, "user")) && !slices.Contains(given, "token") {
		d.faultAt(join(path, "user"), "user: MIXSYNC", "is missing")
	}
	if d.has(join(path, "private_key_passphrase")) && !d.has(join(path, "private_key")) {
		d.faultAt(join(path, "private_key_passphrase"), "", "has no private_key to open")
	}
}

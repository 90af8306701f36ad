package configs

import (
	"time"

	"github.com/mixsync/mixsync/mapping"

	"gopkg.in/yaml.v3"
)

var syncObject = object[Sync]{
	fields: []field[Sync]{
		bind("type", "What the rows become: event (an Event Table), group (a Group Table), user (profiles of a standard project) or lookup.",
			enum(mapping.Event, mapping.Group, mapping.User, mapping.Lookup), func(s *Sync) *mapping.Type { return &s.Type }).must("type: event, group, user or lookup"),
		bind("description", "For people.", text("a description"), func(s *Sync) *string { return &s.Description }),
		bind("warehouse", "The name of the warehouse to read.", text("the name of a warehouse"), func(s *Sync) *string { return &s.Warehouse }),
		bind("project", "The name of the project to send to, or a list: each is a run of its own.", oneOrMany(text("the name of a project"), "[prod, staging]"),
			func(s *Sync) *[]string { return &s.Projects }),
		bind("table", "The table or view to read. Either this or query.", textWith("the name of a table or view", checkTable), func(s *Sync) *string { return &s.Table }),
		bind("query", "A single SELECT to read. It is wrapped, never edited. Either this or table.", text("a SELECT"), func(s *Sync) *string { return &s.Query }),
		bind("mode", "append or full for events; upsert, full or mirror for profiles; full for lookup tables.", enumOf(modeForeign, Append, Upsert, Full, Mirror), func(s *Sync) *Mode { return &s.Mode }),
		bind("cursor", "The column that tells when a row became visible. append and upsert need it.", pointer(cursorObject.codec()), func(s *Sync) **Cursor { return &s.Cursor }),
		bind("primary_key", "The columns that identify a row. May be left out where the record's own ids do.", list(text("a column"), "[id]"), func(s *Sync) *[]string { return &s.PrimaryKey }),
		bind("group_key", "The group key as registered in Mixpanel: $company_id, $user_id or another.", text("a group key"), func(s *Sync) *string { return &s.GroupKey }).only(forTypes(mapping.Group)),
		bind("group_keys", "Other group keys that must be present as properties.", list(text("a group key"), "[team_id]"), func(s *Sync) *[]string { return &s.GroupKeys }).only(forTypes(mapping.Event, mapping.User)),
		bind("mapping", "Which column means what. A plain string is a column; {value: x} is a constant.", mappingObject.codec(), func(s *Sync) *mapping.Mapping { return &s.Mapping }),
		bind("properties", "Which columns become properties, and how.", propertiesObject.codec(), func(s *Sync) *mapping.Properties { return &s.Properties }),
		bind("namespace", "What insert ids are derived from besides the primary key. Default: the sync's name.", text("a name"), func(s *Sync) *string { return &s.Namespace }),
		bind("identity", "What becomes of rows without company or user.", identityObject.codec(), func(s *Sync) *Identity { return &s.Identity }),
		withDefault("nulls", "What a NULL does to a profile's property: skip leaves it, unset removes it, send stores null.", enum(mapping.NullsSkip, mapping.NullsUnset, mapping.NullsSend),
			func(s *Sync) *string { return &s.Nulls }, mapping.NullsSkip).only(forTypes(mapping.Group, mapping.User)),
		withDefault("future", "What becomes of events more than an hour ahead: reject files them, hold keeps the mark before them.", enum(mapping.RejectRow, mapping.HoldRow),
			func(s *Sync) *string { return &s.Future }, mapping.RejectRow).only(forTypes(mapping.Event)),
		withDefault("max_rejects", "A run stops past this share (judged from 1,000 rows on and at the end) or number of rejects.", threshold(),
			func(s *Sync) *Threshold { return &s.MaxRejects }, Threshold{Percent: 1, IsPercent: true}),
		withDefault("max_restated", "A run stops past this share or number of events that were sent before under another event, time or id.", threshold(),
			func(s *Sync) *Threshold { return &s.MaxRestated }, Threshold{Percent: 1, IsPercent: true}).only(forTypes(mapping.Event)),
		withDefault("rejects", "How rejects are kept.", rejectsObject.codec(), func(s *Sync) *string { return &s.RejectsPayload }, PayloadFull),
		withDefault("on_delete", "What becomes of the profile of a row that is gone.", enum(Keep, Delete), func(s *Sync) *string { return &s.OnDelete }, Keep).only(forMirror),
		withDefault("resync", "forbid refuses --resync.", enum(Allow, Forbid), func(s *Sync) *string { return &s.Resync }, Allow),
		bind("lookup_table_id", "The id of the lookup table in Mixpanel.", text("a lookup table's id"), func(s *Sync) *string { return &s.LookupTableID }).only(forTypes(mapping.Lookup)),
		withDefault("parallel", "How many slices of an event sync one process works on at a time. Profiles, and events with device ids, go in order whatever it says.",
			integer("a number of slices", 1, 16), func(s *Sync) *int { return &s.Parallel }, 1).only(forTypes(mapping.Event)),
		withDefault("skip_unchanged", "Skip a run when the warehouse can tell, without being woken, that the table is as the last run has read it.",
			boolean(), func(s *Sync) *bool { return &s.SkipUnchanged }, true),
		bind("schedule", "When serve runs it: five cron fields, @hourly, @daily and so on, or @every 30s.", schedule(), func(s *Sync) *string { return &s.Schedule }),
		withDefault("timezone", "The zone of the schedule, of bare dates and of times without a zone.", timezone(), func(s *Sync) *string { return &s.Timezone }, "UTC"),
		bind("tags", "For --select tag:x.", list(text("a tag"), "[product]"), func(s *Sync) *[]string { return &s.Tags }),
		bind("disabled", "true: checked, never run.", boolean(), func(s *Sync) *bool { return &s.Disabled }),
	},
	foreign: syncForeign,
}

// inheritable are the keys of a sync that may stand under defaults.
var inheritable = []string{
	"warehouse", "project", "schedule", "timezone", "identity", "nulls", "future",
	"max_rejects", "max_restated", "rejects", "on_delete", "resync", "parallel", "skip_unchanged",
}

func defaultsObject() *object[Sync] {
	o := &object[Sync]{foreign: map[string]string{}}
	for i := range syncObject.fields {
		o.foreign[syncObject.fields[i].key] = "it has no default; write it on each sync"
	}
	for key, hint := range syncForeign {
		o.foreign[key] = hint
	}
	for _, key := range inheritable {
		f := *syncObject.find(key)
		f.applies = nil // here it is for whichever syncs it applies to
		o.fields = append(o.fields, f)
		delete(o.foreign, key)
	}
	inner := object[Cursor]{foreign: map[string]string{"column": "it has no default; write it on each sync", "start": "it has no default; write it on each sync"}}
	for _, key := range []string{"lookback", "settle", "max_hold", "null_rows", "slice"} {
		inner.fields = append(inner.fields, *cursorObject.find(key))
	}
	delete(o.foreign, "cursor")
	o.fields = append(o.fields, bind("cursor", "Defaults of every cursor.", pointer(inner.codec()), func(s *Sync) **Cursor { return &s.Cursor }))
	return o
}

var cursorObject = object[Cursor]{
	fields: []field[Cursor]{
		bind("column", "The column: a timestamp, a date or an integer that grows when a row becomes visible.", text("a column"),
			func(c *Cursor) *string { return &c.Column }).must("column: loaded_at"),
		withDefault("lookback", "How far behind the mark a run starts to read, for rows that appear late: a duration, or a count for integers. 1d for a DATE; an integer needs one.",
			lookback(), func(c *Cursor) *Lookback { return &c.Lookback }, Lookback{Text: "10m", Duration: 10 * time.Minute}),
		withDefault("settle", "Rows younger than this are left to the next run. Not for integers.", spanOrZero(), func(c *Cursor) *time.Duration { return &c.Settle }, 30*time.Second),
		withDefault("max_hold", "On Postgres: how long a transaction that is still writing may hold the bound back.", spanOrZero(), func(c *Cursor) *time.Duration { return &c.MaxHold }, time.Hour),
		withDefault("null_rows", "Rows whose cursor is NULL: error at check, or skip.", enum(NullRowsError, NullRowsSkip), func(c *Cursor) *string { return &c.NullRows }, NullRowsError),
		withDefault("slice", "How a long window is cut: auto, hour, day, week, month, or a count for integers.", slice(), func(c *Cursor) *Slice { return &c.Slice }, SliceAuto),
		bind("start", "The first value to read, ever: a date, a timestamp or an integer.", start(), func(c *Cursor) *string { return &c.Start }),
	},
	foreign: cursorForeign,
	short:   "column",
}

var mappingObject = object[mapping.Mapping]{
	fields: []field[mapping.Mapping]{
		bind("event", "The event's name: a column, or {value: \"Feature Used\"}.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.Event }),
		bind("time", "When it happened: a column; {column: ts, unit: ms} for integers.", source(false, true), func(m *mapping.Mapping) **mapping.Source { return &m.Time }),
		bind("company_id", "The company.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.CompanyID }),
		bind("user_id", "The user.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.UserID }),
		bind("device_id", "The device of anonymous events.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.DeviceID }),
		bind("insert_id", "What Mixpanel deduplicates by. Without it, the primary key.", source(false, false), func(m *mapping.Mapping) **mapping.Source { return &m.InsertID }),
		bind("group_id", "The group's id.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.GroupID }),
		bind("ip", "The IP address to locate by. Without it, none.", source(true, false), func(m *mapping.Mapping) **mapping.Source { return &m.IP }),
		bind("key", "The key column of a lookup table.", source(false, false), func(m *mapping.Mapping) **mapping.Source { return &m.Key }),
	},
	foreign: mappingForeign,
}

var propertiesObject = object[mapping.Properties]{
	fields: []field[mapping.Properties]{
		withDefault("include", "Patterns of columns that become properties, of those not used in the mapping.", list(glob(), `["*"]`), func(p *mapping.Properties) *[]string { return &p.Include }, []string{"*"}),
		bind("exclude", "Patterns of columns that do not.", list(glob(), `["_*"]`), func(p *mapping.Properties) *[]string { return &p.Exclude }),
		bind("rename", "Column: property.", table(text("a property's name"), nil), func(p *mapping.Properties) *map[string]string { return &p.Rename }),
		bind("types", "Column: string, number, boolean, datetime or json.", table(enum("string", "number", "boolean", "datetime", "json"), nil), func(p *mapping.Properties) *map[string]string { return &p.Types }),
		bind("flatten", "JSON columns whose keys are lifted one level up.", list(text("a JSON column"), "[attrs]"), func(p *mapping.Properties) *[]string { return &p.Flatten }),
		bind("constants", "Properties with a fixed value.", constants(), func(p *mapping.Properties) *[]mapping.Constant { return &p.Constants }),
	},
	foreign: propertiesForeign,
}

var identityObject = object[Identity]{
	fields: []field[Identity]{
		withDefault("missing_company", "Events without a company: reject or send.", enum(mapping.RejectRow, mapping.SendRow), func(i *Identity) *string { return &i.MissingCompany }, mapping.RejectRow),
		withDefault("missing_user", "Events without a user: reject, or send for company-level events.", enum(mapping.RejectRow, mapping.SendRow), func(i *Identity) *string { return &i.MissingUser }, mapping.RejectRow),
	},
}

// rejectsObject is a block of one key, so it fills a string.
var rejectsObject = object[string]{
	fields: []field[string]{
		withDefault("payload", "full keeps the row that was refused, keys only its primary key.", enum(PayloadFull, PayloadKeys), func(s *string) *string { return s }, PayloadFull),
	},
	foreign: map[string]string{"max": "write max_rejects beside rejects", "max_rejects": "it stands beside rejects"},
}

// forTypes is the rule of a key that only some types have.
func forTypes(types ...mapping.Type) func(*Sync) string {
	names := ""
	for i, t := range types {
		if i > 0 {
			names += " and "
		}
		names += string(t)
	}
	return func(s *Sync) string {
		for _, t := range types {
			if s.Type == t || s.Type == "" {
				return ""
			}
		}
		return "is for syncs of type " + names + "; this is of type " + string(s.Type)
	}
}

func forMirror(s *Sync) string {
	if s.Mode == Mirror || s.Mode == "" {
		return ""
	}
	return "is for mode mirror; this is " + string(s.Mode)
}

// syncCodec leaves mode to the checks: which words are right depends on the type.
func syncCodec() codec[Sync] {
	c := syncObject.codec()
	describe := c.schema
	c.schema = func() schema {
		return describe().with(schema{"oneOf": []any{schema{"required": []string{"table"}}, schema{"required": []string{"query"}}}})
	}
	return c
}

// oneOrMany is a list that may be written as its only item.
func oneOrMany(item codec[string], example string) codec[[]string] {
	many := list(item, example)
	return codec[[]string]{
		decode: func(d *decoder, n node, v *[]string) {
			if n.Kind == yaml.SequenceNode {
				many.decode(d, n, v)
				return
			}
			var one string
			if item.decode(d, n, &one); one != "" {
				*v = []string{one}
			}
		},
		encode: func(e *encoder, path string, v []string) *yaml.Node {
			if len(v) == 1 {
				return item.encode(e, path, v[0])
			}
			return many.encode(e, path, v)
		},
		schema: func() schema { return schema{"anyOf": []any{item.schema(), many.schema()}} },
	}
}

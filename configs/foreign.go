package configs

// Keys of other tools, in lower case, and what to write instead. Keys that a
// nested block has by the same name need no line here.

var fileForeign = map[string]string{
	"sources": "write warehouses", "source": "write warehouses", "connections": "write warehouses", "connection": "write warehouses", "databases": "write warehouses", "profiles": "write warehouses",
	"destinations": "write projects", "destination": "write projects", "targets": "write projects", "mixpanel": "write projects",
	"streams": "write syncs", "models": "write syncs", "tables": "write syncs", "jobs": "write syncs", "pipelines": "write syncs",
	"default": "write defaults", "env": "variables come from the environment: ${VAR}", "variables": "variables come from the environment: ${VAR}", "vars": "variables come from the environment: ${VAR}",
	"schedule": "write it under defaults, or on a sync", "timezone": "write it under defaults, or on a sync",
	"database": "write state: postgres://…, or a source under warehouses",
}

const (
	dsnHint       = "write it into dsn: postgres://user:password@host:5432/database?sslmode=verify-full"
	cursorHint    = "write cursor: {column: updated_at}"
	keyHint       = "write primary_key: [id]"
	readHint      = "write table: schema.name, or query: SELECT …"
	selectHint    = "write properties: {include: [...], exclude: [...]}"
	renameHint    = "write properties: {rename: {column: Property}}"
	mappedEvent   = `write mapping: {event: column}, or {event: {value: "Feature Used"}} for a fixed name`
	mappedTime    = "write mapping: {time: column}"
	mappedUser    = "write mapping: {user_id: column}; mixsync derives distinct_id from it"
	noBatchHint   = "there is no such setting: requests are filled up to Mixpanel's limits"
	concurrencyAt = "write concurrency on the project"
)

var postgresForeign = map[string]string{
	"url": "write dsn", "uri": "write dsn", "connection_string": "write dsn", "database_url": "write dsn",
	"host": dsnHint, "hostname": dsnHint, "port": dsnHint, "user": dsnHint, "username": dsnHint, "password": dsnHint, "database": dsnHint, "dbname": dsnHint,
	"sslmode": dsnHint, "ssl": dsnHint, "sslrootcert": dsnHint, "schema": "name it in the sync's table: schema.table", "timeout": "write statement_timeout or connect_timeout",
}

var snowflakeForeign = map[string]string{
	"username": "write user", "account_identifier": "write account", "private_key_path": "write private_key: ${file:/run/secrets/snowflake.p8}", "private_key_file": "write private_key: ${file:/run/secrets/snowflake.p8}",
	"passphrase": "write private_key_passphrase", "oauth_token": "write token", "dsn": "write account, user and a credential",
}

var bigqueryForeign = map[string]string{
	"project_id": "write project", "keyfile": "write credentials: ${file:/run/secrets/bq.json}", "keyfile_json": "write credentials", "credentials_file": "write credentials: ${file:/run/secrets/bq.json}",
	"credentials_json": "write credentials", "service_account": "write credentials, or impersonate", "dataset": "name it in the sync's table: dataset.table", "region": "write location",
	"maximum_bytes_billed": "write max_bytes_billed", "impersonate_service_account": "write impersonate", "timeout": "write job_timeout",
}

var projectForeign = map[string]string{
	"id": "write project_id", "project": "write project_id", "project_token": "write token", "api_secret": "write service_account: {username: …, secret: …}",
	"secret": "it belongs under service_account", "username": "it belongs under service_account", "password": "write service_account: {username: …, secret: …}",
	"data_residency": "write region", "residency": "write region", "host": "write region, or api_url", "url": "write api_url", "api_host": "write api_url", "endpoint": "write api_url", "base_url": "write api_url",
	"workers": "write concurrency", "parallelism": "write concurrency", "timeout": "write request_timeout", "batch_size": noBatchHint,
	"identity_model": "write model: hierarchical or standard", "id_model": "write model: hierarchical or standard", "type": "write model: hierarchical or standard",
}

var syncForeign = map[string]string{
	"update_key": cursorHint, "cursor_field": cursorHint, "cursor_column": cursorHint, "incremental_key": cursorHint, "incremental_column": cursorHint, "replication_key": cursorHint,
	"watermark": cursorHint, "watermark_column": cursorHint, "updated_at": cursorHint, "insert_time": "write cursor: {column: loaded_at}: Mixpanel's Insert Time is the cursor", "insert_time_column": "write cursor: {column: loaded_at}: Mixpanel's Insert Time is the cursor",
	"unique_key": keyHint, "primary_keys": keyHint, "pk": keyHint, "id_column": keyHint, "unique_id": keyHint, "tie_breaker": "write primary_key: it breaks ties of the cursor",
	"destination": "write project: name", "target": "write project: name", "projects": "write project: it takes a name or a list",
	"source": "write warehouse: name, and table or query", "connection": "write warehouse: name", "database": "write warehouse: name",
	"model": readHint, "sql": readHint, "stream": readHint, "object": readHint, "statement": readHint, "view": readHint, "select": readHint, "from": readHint,
	"event_name": mappedEvent, "event_column": mappedEvent, "event": mappedEvent, "time_column": mappedTime, "timestamp": mappedTime, "event_time": mappedTime, "time": mappedTime,
	"distinct_id": mappedUser, "user_column": mappedUser, "company_column": "write mapping: {company_id: column}",
	"columns": selectHint, "fields": selectHint, "property_mappings": renameHint, "mappings": "write mapping",
	"sync_mode": "write mode: append, upsert, full or mirror", "write_mode": "write mode: append, upsert, full or mirror", "write_disposition": "write mode: append, upsert, full or mirror",
	"materialized": "write mode: append, upsert, full or mirror", "incremental_strategy": "write mode: append, upsert, full or mirror", "full_refresh": "write mode: full, or run --resync",
	"cron": "write schedule", "frequency": "write schedule", "interval": "write schedule: @every 30m", "run_every": "write schedule: @every 30m", "tz": "write timezone",
	"enabled": "write disabled: true to switch it off", "active": "write disabled: true to switch it off", "paused": "write disabled: true",
	"record_type": "write type", "table_type": "write type", "name": "the key above is its name", "id": "the key above is its name",
	"batch_size": noBatchHint, "concurrency": concurrencyAt, "workers": concurrencyAt, "token": "it stands on the project", "region": "it stands on the project",
	"nulls_policy": "write nulls", "on_null": "write nulls", "max_errors": "write max_rejects", "on_error": "write max_rejects", "lookup_table": "write lookup_table_id",
	"key_column": "write mapping: {key: column}", "partition": "write cursor: {slice: day}", "filter": "write the condition into query", "where": "write the condition into query",
}

// modeForeign are words of other tools for a mode.
var modeForeign = map[string]string{
	"incremental": "write append for events, upsert for profiles", "time_based": "write append for events, upsert for profiles", "insert": "write append",
	"merge": "write upsert", "update": "write upsert", "delete+insert": "write upsert", "overwrite": "write full", "replace": "write full", "snapshot": "write full",
	"full_refresh": "write full", "full-refresh": "write full", "full_sync": "write full", "table": "write full", "one_time": "write full, without a schedule", "mirror_mode": "write mirror", "sync": "write mirror",
}

var cursorForeign = map[string]string{
	"field": "write column", "name": "write column", "key": "write column", "update_key": "write column", "expression": "compute it in query and name its column",
	"lag": "write lookback", "overlap": "write lookback", "delay": "write settle", "grace": "write settle", "nulls": "write null_rows",
	"tie_breaker": "write primary_key on the sync", "primary_key": "it stands beside cursor", "initial_value": "write start", "start_value": "write start", "start_date": "write start", "since": "write start",
	"end": "give --end to a run", "partition": "write slice", "type": "it is read from the warehouse", "timezone": "it stands beside cursor",
}

var mappingForeign = map[string]string{
	"distinct_id": "write user_id; mixsync derives distinct_id from it", "$distinct_id": "write user_id; mixsync derives distinct_id from it",
	"event_name": "write event", "name": "write event", "event_type": "write event", "event_column": "write event",
	"timestamp": "write time", "event_time": "write time", "time_column": "write time", "occurred_at": "write time", "ts": "write time", "$time": "write time",
	"$user_id": "write user_id", "user": "write user_id", "user_column": "write user_id", "$company_id": "write company_id", "company": "write company_id", "account_id": "write company_id", "tenant_id": "write company_id",
	"$device_id": "write device_id", "device": "write device_id", "anonymous_id": "write device_id", "$insert_id": "write insert_id", "event_id": "write insert_id", "message_id": "write insert_id",
	"insert_time": "write cursor: {column: loaded_at} on the sync: Mixpanel's Insert Time is the cursor", "cursor": "it stands beside mapping",
	"group_key": "it stands beside mapping", "group_keys": "it stands beside mapping", "group": "write group_id", "primary_key": "it stands beside mapping",
	"properties": "it stands beside mapping", "json_properties": "write properties: {flatten: [column]}", "$ip": "write ip", "key_column": "write key", "lookup_key": "write key",
}

var propertiesForeign = map[string]string{
	"only": "write include", "columns": "write include", "select": "write include", "fields": "write include", "omit": "write exclude", "ignore": "write exclude", "drop": "write exclude",
	"mappings": "write rename", "aliases": "write rename", "map": "write rename", "casts": "write types", "type": "write types", "json": "write flatten", "expand": "write flatten", "unnest": "write flatten",
	"static": "write constants", "add": "write constants", "defaults": "write constants", "nulls": "it stands beside properties",
}

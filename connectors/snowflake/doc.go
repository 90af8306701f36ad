// Package snowflake reads Snowflake for mixsync, through the vendor's driver.
//
// Results come as Arrow record batches, as Snowflake sends them; a server that
// answers in JSON is read just as well. A result arrives in chunks: one is read
// while the next are downloaded, as far as memory allows (see chunks).
//
// # Types
//
// NUMBER with scale 0 is an Int up to 19 digits, and a Decimal of whole numbers beyond,
// as INT is, which is NUMBER(38,0); where a cursor asks for integers it is read as
// such. That is decided by the column's type, never by a value: one that 64 bits do not
// hold then ends the read with an error that names the column. NUMBER with a scale, and
// DECFLOAT, are Decimal. TIMESTAMP_LTZ and
// TIMESTAMP_TZ are TimestampTZ: of a TIMESTAMP_TZ the instant counts, not the offset.
// VARIANT, OBJECT, ARRAY, MAP, VECTOR, GEOGRAPHY and GEOMETRY (as GeoJSON) are JSON.
//
// # Names
//
// A table's name from the YAML is folded as Snowflake folds it: marts.fct_sessions is
// MARTS.FCT_SESSIONS, and marts."fct_sessions" keeps its case.
//
// # Sessions
//
// Session settings are parameters of the login, never statements. The vendor's driver
// renews a session that expires; one that has ended while idle is replaced. TLS is
// verified by Go itself; revocation lists are not asked.
//
// # Late rows
//
// Snowflake shows no transaction of others, so that nothing is known of those still
// writing: a row becomes visible when its transaction commits, and cursor.lookback has
// to be longer than the longest one takes.
//
// # Tests
//
// The tests run against package snowflaketest. MIXSYNC_TEST_SNOWFLAKE, a DSN of the
// vendor's form (user:password@account/database/schema?warehouse=…&role=…), has the
// conformance suite run against that account too; the schema must allow CREATE TABLE.
package snowflake

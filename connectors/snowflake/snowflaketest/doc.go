// Package snowflaketest is a stand-in for Snowflake in tests: a server that speaks
// the vendor's protocol over HTTP, with DuckDB to run the SQL.
//
// It checks passwords, tokens and signatures of key pairs, renews sessions, takes
// typed binds, makes a client wait for long queries, answers in Arrow or in JSON, in
// chunks, and fails in all the ways that its methods say. SQL is DuckDB's, with the
// names of Snowflake's types and a few of its functions (see translate).
//
// A server runs within the test's process, or in one of its own where the test's
// figures must not count it (see Main).
package snowflaketest

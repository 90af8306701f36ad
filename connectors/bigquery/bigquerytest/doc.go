// Package bigquerytest is a stand-in for BigQuery, for tests: its REST API and its
// Storage Read API over TCP, with DuckDB as the SQL engine.
//
// It understands as much GoogleSQL as tests need (names in backquotes, GoogleSQL's
// types and literals, named parameters, UNNEST of GENERATE_ARRAY) and imposes what
// tests are to find out: partition filters, bytes billed, locations, grants. What
// it cannot tell is whether BigQuery itself would accept a statement.
//
//	s := bigquerytest.Start(t, bigquerytest.Options{})
//	s.Exec(t, "CREATE SCHEMA app; CREATE TABLE app.usage (id BIGINT, at TIMESTAMPTZ)")
//	// endpoint: s.Endpoint, grpc_endpoint: s.GRPCEndpoint, insecure: true
//
// It is built with cgo alone, as DuckDB is.
package bigquerytest

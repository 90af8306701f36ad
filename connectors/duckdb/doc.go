// Package duckdb reads DuckDB database files, and Parquet, CSV and JSON files
// through DuckDB, for mixsync.
//
// DuckDB runs inside the process. Results stream in as chunks of vectors and are
// copied column by column into batches, without a Go value per cell: this is the
// C interface's own data, so plain builds are as fast as those with Arrow.
//
// A database file is opened read-only, when a query needs it, and closed soon
// after the last one: DuckDB lets either one process write to a file or many
// read it, and a worker that idles must not lock the writers out. Extensions are
// neither downloaded nor loaded: what a query can read is what the binary holds
// (Parquet, CSV, JSON, time zones).
//
// DuckDB is C++ and needs cgo. In a build without it Open says so.
package duckdb

import "time"

// Options say what to open and how much it may use. The zero value is a
// database in memory, for queries over files.
type Options struct {
	// Path is a database file; empty or ":memory:" is a database in memory. A
	// relative path counts from the working directory.
	Path string
	// MemoryLimit in bytes bounds what DuckDB keeps in memory; what a sort needs
	// beyond it goes to temporary files. 0 is 1 GiB, or half of the container's
	// memory if that is less.
	MemoryLimit int64
	// Threads that DuckDB works with; 0 is one a core, 8 at most: more would
	// share the memory limit in pieces too small to work with.
	Threads int
	// Linger is how long a file stays open after the last query, so that a run's
	// queries share one opening; 0 is one second, negative is no time at all.
	Linger time.Duration
}

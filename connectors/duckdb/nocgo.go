//go:build !cgo

package duckdb

import (
	"context"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Driver cannot be had in a build without cgo.
type Driver struct{ warehouse.Driver }

// Open refuses: DuckDB is C++, which a build without cgo has none of.
func Open(context.Context, Options) (*Driver, error) {
	return nil, warehouse.Errorf(warehouse.ClassConfig,
		"use a release binary, or build with CGO_ENABLED=1 and a C++ compiler (gcc and g++, or clang): CGO_ENABLED=1 go build ./cmd/mixsync",
		"this build of mixsync has no DuckDB: it was built without cgo")
}

//go:build !cgo

package main

import (
	"context"

	"github.com/mixsync/mixsync/connectors/duckdb"
)

// demoWarehouse cannot be had without DuckDB.
type demoWarehouse struct{}

func newDemoWarehouse(ctx context.Context, path string) (*demoWarehouse, error) {
	_, err := duckdb.Open(ctx, duckdb.Options{Path: path}) // says why, and what to do
	return nil, err
}

func (*demoWarehouse) fill(context.Context) (string, error) { return "", nil }
func (*demoWarehouse) grow(context.Context, string) error   { return nil }

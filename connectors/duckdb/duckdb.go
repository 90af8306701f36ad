//go:build cgo

package duckdb

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Driver reads one DuckDB database. It is safe for concurrent use.
type Driver struct {
	db      *database
	options Options
}

var (
	_ warehouse.Driver         = (*Driver)(nil)
	_ warehouse.Describer      = (*Driver)(nil)
	_ warehouse.TableDescriber = (*Driver)(nil)
)

// Open opens the database once, to tell at once what is wrong with it, and
// returns the driver. Its errors are *warehouse.Error.
func Open(ctx context.Context, o Options) (*Driver, error) {
	if o.MemoryLimit < 0 || o.Threads < 0 {
		return nil, warehouse.Errorf(warehouse.ClassConfig, "leave it out for the default", "memory limit and threads of a duckdb warehouse cannot be negative")
	}
	path := o.Path
	if path == ":memory:" {
		path = ""
	}
	if path != "" {
		var err error
		if path, err = databaseFile(path); err != nil {
			return nil, err
		}
	}
	d := &Driver{db: shared(path), options: o}
	s, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.close()
	return d, nil
}

// databaseFile returns the one true path of a database file. It does not open
// it: closing a file gives up every lock that the process has on it.
func databaseFile(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", warehouse.Errorf(warehouse.ClassConfig, "write an absolute path", "database file %q: %w", path, err)
	}
	if resolved, err := filepath.EvalSymlinks(full); err == nil {
		full = resolved
	}
	info, err := os.Stat(full)
	switch {
	case os.IsNotExist(err):
		return "", warehouse.Errorf(warehouse.ClassUnreachable, "check path: mixsync reads a file that another program writes, and makes none; "+
			"to query Parquet, CSV or JSON files leave path out and name them in the query", "database file %s does not exist", full)
	case os.IsPermission(err):
		return "", refused(full, err)
	case err != nil:
		return "", warehouse.Errorf(warehouse.ClassUnreachable, "check path", "database file %s: %w", full, err)
	case info.IsDir():
		return "", warehouse.Errorf(warehouse.ClassConfig, "name the database file; to query the files of a folder leave path out and write "+
			"query: SELECT * FROM 'folder/*.parquet'", "database file %s is a folder", full)
	}
	return full, nil
}

// Close closes the database. Rows that are still open keep it until they are closed.
func (d *Driver) Close() error {
	d.db.forget()
	return nil
}

// Clock reads the clock that DuckDB's now() goes by. A file that is open for
// reading has no writers.
func (d *Driver) Clock(ctx context.Context) (warehouse.Clock, error) {
	clock := warehouse.Clock{}
	err := d.each(ctx, "SELECT CAST(epoch_us(now()) AS BIGINT) AS now", nil, func(b *warehouse.Batch, row int) {
		clock.Now = time.UnixMicro(b.Cols[0].Int[row]).UTC()
	})
	return clock, err
}

// Dialect is DuckDB's SQL.
func (d *Driver) Dialect() *warehouse.Dialect { return &dialect }

var dialect = warehouse.Dialect{
	Name:       "duckdb",
	Quote:      quote,
	QuoteTable: quoteTable,
	Bind:       bind,
	Ordered:    true,
	NullsLast:  true,
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func quoteText(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

func bind(n int, f warehouse.Field) string {
	placeholder := "$" + strconv.Itoa(n)
	if f.Kind == warehouse.Bytes {
		return "unhex(" + placeholder + ")"
	}
	return "CAST(" + placeholder + " AS " + f.Type + ")"
}

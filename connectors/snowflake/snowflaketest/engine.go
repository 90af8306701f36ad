//go:build cgo

package snowflaketest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
	_ "github.com/duckdb/duckdb-go/v2" // with the library itself
)

// engine is DuckDB in memory, with a database of the account's name.
type engine struct {
	db    bindings.Database
	setup string
}

func openEngine(database, schema string) (*engine, error) {
	e := &engine{}
	var config bindings.Config
	defer bindings.DestroyConfig(&config)
	var message string
	if bindings.CreateConfig(&config) == bindings.StateError || bindings.OpenExt("", &e.db, config, &message) == bindings.StateError {
		return nil, fmt.Errorf("open duckdb: %s", message)
	}
	place := fmt.Sprintf(`"%s"."%s"`, database, schema)
	statements := []string{fmt.Sprintf(`ATTACH ':memory:' AS "%s"`, database), "CREATE SCHEMA IF NOT EXISTS " + place}
	for _, m := range macros {
		statements = append(statements, "CREATE MACRO memory.main."+m)
	}
	if err := e.exec(strings.Join(statements, ";")); err != nil {
		e.close()
		return nil, err
	}
	// The optimiser turns two bounds into a BETWEEN, which DuckDB has for no union.
	e.setup = fmt.Sprintf("SET TimeZone = 'UTC'; SET disabled_optimizers = 'filter_pushdown'; SET search_path = '%s.%s,memory.main'", database, schema)
	return e, nil
}

func (e *engine) close() { bindings.Close(&e.db) }

// exec runs statements on a connection of their own.
func (e *engine) exec(sql string) error {
	var conn bindings.Connection
	if bindings.Connect(e.db, &conn) == bindings.StateError {
		return errors.New("connect to duckdb")
	}
	defer bindings.Disconnect(&conn)
	if err := simply(conn, e.setup); err != nil {
		return err
	}
	return simply(conn, sql)
}

func simply(conn bindings.Connection, sql string) error {
	if sql == "" {
		return nil
	}
	var result bindings.Result
	defer bindings.DestroyResult(&result)
	if bindings.Query(conn, sql, &result) == bindings.StateError {
		return errors.New(bindings.ResultError(&result))
	}
	return nil
}

// query runs a SELECT and gives its columns and rows to out; describe: only its
// columns. It ends with its context.
func (e *engine) query(ctx context.Context, sql string, describe bool, out *output) error {
	var conn bindings.Connection
	if bindings.Connect(e.db, &conn) == bindings.StateError {
		return errors.New("connect to duckdb")
	}
	defer bindings.Disconnect(&conn)
	if err := simply(conn, e.setup); err != nil {
		return err
	}
	columns, err := describeColumns(conn, sql)
	if err != nil {
		return err
	}
	out.columns = columns
	if describe {
		return nil
	}
	var statement bindings.PreparedStatement
	defer bindings.DestroyPrepare(&statement)
	if bindings.Prepare(conn, wireSQL(sql, columns), &statement) == bindings.StateError {
		return errors.New(bindings.PrepareError(statement))
	}
	defer interruptWith(ctx, conn)()
	var result bindings.Result
	defer bindings.DestroyResult(&result)
	//nolint:staticcheck // The interface has no other way to ask for a result that streams, and promises one.
	if bindings.ExecutePreparedStreaming(statement, &result) == bindings.StateError {
		return errors.New(bindings.ResultError(&result))
	}
	for {
		chunk := bindings.FetchChunk(result)
		if chunk.Ptr == nil {
			break
		}
		err := out.add(chunk)
		bindings.DestroyDataChunk(&chunk)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	if message := bindings.ResultError(&result); message != "" {
		return errors.New(message)
	}
	return out.end()
}

// interruptWith interrupts what the connection runs when ctx ends, again and again
// until the function it returns is called: DuckDB forgets one that comes early.
func interruptWith(ctx context.Context, conn bindings.Connection) (stop func()) {
	returned, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-returned:
			return
		case <-ctx.Done():
		}
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for {
			bindings.Interrupt(conn)
			select {
			case <-returned:
				return
			case <-again.C:
			}
		}
	}()
	return func() {
		close(returned)
		<-stopped
	}
}

func describeColumns(conn bindings.Connection, sql string) ([]*column, error) {
	var statement bindings.PreparedStatement
	defer bindings.DestroyPrepare(&statement)
	if bindings.Prepare(conn, sql, &statement) == bindings.StateError {
		return nil, errors.New(bindings.PrepareError(statement))
	}
	columns := make([]*column, bindings.PreparedStatementColumnCount(statement))
	for i := range columns {
		lt := bindings.PreparedStatementColumnLogicalType(statement, bindings.IdxT(i))
		columns[i] = columnOf(bindings.PreparedStatementColumnName(statement, bindings.IdxT(i)), lt)
		bindings.DestroyLogicalType(&lt)
	}
	return columns, nil
}

// wireSQL has DuckDB turn every column into one of the few types that are read.
func wireSQL(sql string, columns []*column) string {
	var list, names []string
	for i, c := range columns {
		name := fmt.Sprintf("c%d", i)
		names = append(names, name)
		list = append(list, fmt.Sprintf(c.expr, name))
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM (\n" + sql + "\n) AS r(" + strings.Join(names, ", ") + ")"
}

// vector is the memory of a column of a chunk, as DuckDB's C interface documents it.
type vector struct {
	data  unsafe.Pointer
	valid []uint64
	rows  int
}

func vectorOf(chunk bindings.DataChunk, i, rows int) vector {
	v := bindings.DataChunkGetVector(chunk, bindings.IdxT(i))
	seen := vector{data: bindings.VectorGetData(v), rows: rows}
	if mask := bindings.VectorGetValidity(v); mask != nil {
		seen.valid = unsafe.Slice((*uint64)(mask), (rows+63)/64)
	}
	return seen
}

func (v *vector) isNull(row int) bool {
	return v.valid != nil && v.valid[row>>6]&(1<<(row&63)) == 0
}

func valuesOf[T any](v vector) []T { return unsafe.Slice((*T)(v.data), v.rows) }

// text is duckdb_string_t.
type text struct {
	length uint32
	prefix [4]byte
	rest   [8]byte
}

// string copies the text.
func (t *text) string() string {
	if t.length <= 12 {
		return string(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(t), 4)), t.length))
	}
	return string(unsafe.Slice(*(**byte)(unsafe.Pointer(&t.rest)), t.length))
}

// huge is duckdb_hugeint.
type huge struct {
	lower uint64
	upper int64
}

// Package warehousetest holds the suite that every warehouse driver has to pass,
// and a warehouse in memory for tests of what reads one.
//
// The suite looks at results through columns only, whichever way a driver fills
// them: by appending, or by lending its own memory. It asks nothing about the
// sizes of batches. What differs between warehouses is declared in the Harness
// and in the Dialect.
package warehousetest

import (
	"testing"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Harness tells the suite about a driver.
type Harness struct {
	// Driver is under test, connected to a database where Create may make tables.
	Driver warehouse.Driver
	// Create makes a table of the columns and rows and returns it as a source.
	// Values are text as an argument of Dialect.Bind; nil is NULL.
	Create func(t testing.TB, columns []Column, rows [][]*string) warehouse.Source
	// Types are the warehouse's types, each with a value.
	Types []Type
	// Series is a SELECT of one column n, the integers from 1 to count.
	Series func(count int) string
	// Wide is a SELECT of one text column of size bytes, count rows of it.
	Wide func(count, size int) string
	// Slow is a SELECT of one column that keeps the server busy for a minute or
	// more before its first row, and holds the marker in its text.
	Slow func(marker string) string
	// Running reports whether the server runs a statement with the marker.
	Running func(t testing.TB, marker string) bool
	// NoCursor lists kinds that this warehouse has no cursor columns of.
	NoCursor []warehouse.Kind
	// TellsApart says that of two columns of one name in a query the warehouse
	// gives the second another name, instead of refusing them.
	TellsApart bool
	// OddName is a column's name that is only right in quotes; empty: Odd "name".
	OddName string
}

// Column is a column of a table to create.
type Column struct {
	Name    string
	Kind    warehouse.Kind // Int (64 bits), Text, Date, Timestamp or TimestampTZ
	NotNull bool
}

// Type is one type of a warehouse and a value of it.
type Type struct {
	Name string
	// Literal is an expression of this type, with its cast.
	Literal string
	Kind    warehouse.Kind
	// Want is the value as Render writes it.
	Want string
	// Null is what NULL is read as by warehouses that keep none of the type; empty: NULL.
	Null string
	// Unsortable types cannot be keys.
	Unsortable bool
}

// RunConformance runs the suite.
func RunConformance(t *testing.T, h Harness) {
	t.Run("types", h.types)
	t.Run("types together", h.together)
	t.Run("describe", h.describe)
	t.Run("results", h.results)
	t.Run("errors", h.errors)
	t.Run("cancel", h.cancel)
	t.Run("clock", h.clock)
	for _, kind := range []warehouse.Kind{warehouse.TimestampTZ, warehouse.Timestamp, warehouse.Date, warehouse.Int} {
		if h.lacks(kind) {
			continue
		}
		t.Run("cursor "+kind.String(), func(t *testing.T) {
			c := h.cursorTable(t, kind)
			t.Run("bounds", c.bounds)
			t.Run("max", c.max)
			t.Run("least", c.least)
			t.Run("null cursors", c.nulls)
			t.Run("filters", c.filters)
			if h.Driver.Dialect().Ordered {
				t.Run("order", c.order)
				t.Run("resume", c.resume)
				t.Run("resume a row that is gone", c.gone)
				t.Run("faults", c.faults)
			} else {
				t.Run("unordered", c.unordered)
			}
		})
	}
	if h.Driver.Dialect().Ordered {
		t.Run("without a cursor", h.keysOnly)
	}
}

func (h *Harness) lacks(kind warehouse.Kind) bool {
	for _, k := range h.NoCursor {
		if k == kind {
			return true
		}
	}
	return false
}

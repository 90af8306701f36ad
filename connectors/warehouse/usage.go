package warehouse

import (
	"context"
	"errors"
	"sync"
)

// Usage is what a statement came to, as its warehouse knows it.
type Usage struct {
	QueryID      string // by which the warehouse's own history names it; empty: it has none
	BytesScanned int64  // 0 where the warehouse does not say
}

// Accountable is implemented by Rows of warehouses that account for statements.
type Accountable interface {
	// Usage is right once the rows are closed.
	Usage() Usage
}

// Metered is a driver that tells of every statement that is run through it, and of
// those that failed if their warehouse has an id for them: it has them in its history.
type Metered struct {
	Driver
	// Used is called once a statement has ended, from whichever goroutine closed it.
	Used func(Usage)
}

// Unwrap returns the driver beneath, whose other abilities are the metered one's.
func (m *Metered) Unwrap() Driver { return m.Driver }

// Query implements Driver.
func (m *Metered) Query(ctx context.Context, sql string, args ...Arg) (Rows, error) {
	rows, err := m.Driver.Query(ctx, sql, args...)
	if err != nil {
		var failed *Error
		if errors.As(err, &failed) && failed.QueryID != "" {
			m.Used(Usage{QueryID: failed.QueryID})
		}
		return nil, err
	}
	return &meteredRows{Rows: rows, used: m.Used}, nil
}

type meteredRows struct {
	Rows
	used func(Usage)
	once sync.Once
}

// Close implements Rows.
func (r *meteredRows) Close() error {
	err := r.Rows.Close()
	r.once.Do(func() {
		var u Usage
		if a, ok := r.Rows.(Accountable); ok {
			u = a.Usage()
		}
		r.used(u)
	})
	return err
}

// as finds an ability of a driver, or of the one it wraps.
func as[T any](d Driver) (T, bool) {
	for {
		if able, ok := d.(T); ok {
			return able, true
		}
		wrapper, ok := d.(interface{ Unwrap() Driver })
		if !ok {
			var none T
			return none, false
		}
		d = wrapper.Unwrap()
	}
}

// Estimator is implemented by drivers that can tell, without running a
// statement, how many bytes it would scan.
type Estimator interface {
	Estimate(ctx context.Context, sql string, args ...Arg) (bytes int64, err error)
}

// Estimate asks how many bytes a read would scan; false: the warehouse cannot tell.
func (r *Reader) Estimate(ctx context.Context) (bytes int64, known bool, err error) {
	e, ok := as[Estimator](r.driver)
	if !ok {
		return 0, false, nil
	}
	sql, args := r.SQL()
	bytes, err = e.Estimate(ctx, sql, args...)
	return bytes, err == nil, err
}

// ChangeTeller is implemented by drivers that know when a table last changed
// without reading it: on Snowflake without waking the virtual warehouse.
type ChangeTeller interface {
	// LastChange identifies the state of a table: where it is what it was, no row
	// has been added, changed or removed. Empty: the warehouse cannot tell, as of
	// a view, or a table that rows are streamed into.
	LastChange(ctx context.Context, table string) (string, error)
}

// LastChange asks for the state of a source's table; empty where there is no
// telling.
func LastChange(ctx context.Context, d Driver, src Source) (string, error) {
	t, ok := as[ChangeTeller](d)
	if !ok || src.Table == "" {
		return "", nil
	}
	return t.LastChange(ctx, src.Table)
}

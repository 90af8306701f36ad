//go:build cgo

package duckdb

// Sessions is how many connections to the driver's database are in use.
func (d *Driver) Sessions() int {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	return d.db.sessions
}

// IsOpen reports whether the driver's database is open.
func (d *Driver) IsOpen() bool {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	return d.db.handle.Ptr != nil
}

package warehouse

// Position is a place in the (cursor, key) order of a table: the row that was
// read last. Values are text in the warehouse's own notation for the column's
// type, so that the warehouse, not mixsync, compares them; nil stands for NULL.
//
// A Position is JSON in the state and means nothing to anyone but a Reader.
type Position struct {
	Cursor *string   `json:"cursor,omitempty"` // nil when the table is read without a cursor
	Keys   []*string `json:"keys,omitempty"`
	// Seen counts the rows already read that share this exact cursor and key.
	// A resumed read starts at the position, inclusive, and drops as many, so
	// that twins and rows with NULL keys are neither lost nor read twice.
	Seen int `json:"seen,omitempty"`
}

// Package warehouse is the seam between mixsync and the databases it reads.
//
// It holds the row model (Schema, Batch, Column), the contract a warehouse
// implements (Driver, Rows, Dialect) and everything about reading that is the
// same for all of them, written once: the upper bound of a run (MaxCursor), the
// incremental query and its resumption in (cursor, primary key) order (Reader).
//
// Drivers are dumb: no retry, no batching policy, no logging. They run a query,
// fill columns and classify their errors. What is above them decides.
//
// The package imports nothing of ours, and knows neither Mixpanel nor YAML.
package warehouse

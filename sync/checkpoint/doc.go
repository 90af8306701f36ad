// Package checkpoint keeps what mixsync must remember between runs: marks,
// runs and their progress, the ledger of sent rows, row hashes, rejects, and
// who may run. See the README beside it for the schema and its invariants.
//
// A Store is one SQLite file. A Lease is the right to run one target of it, and
// the only way to write about that target; each of its writes is one
// transaction that fails with ErrFenced once the lease is somebody else's.
// It knows nothing of Mixpanel, YAML or rows beyond their hashes.
package checkpoint

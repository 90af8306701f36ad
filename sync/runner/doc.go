// Package runner does one run of one sync to one project: lease, window, plan,
// pipeline, mark.
//
// It is where the promises are kept. A run fixes its upper bound once, by the
// warehouse's clock. It reads from the mark less the lookback, skips what the
// ledger knows was sent before, and moves the mark only when the whole window is
// stored or filed. A run that ends early leaves its window in the state; the
// next one finishes it before a new window is opened.
//
// The package knows no driver and no YAML.
package runner

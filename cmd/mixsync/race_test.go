//go:build race

package main

// The race detector makes everything some ten times slower: the largest runs
// have fewer rows with it, and every assertion stays.
const (
	manyRows   = 100_000
	killedRows = 200_000
	kills      = 8
)

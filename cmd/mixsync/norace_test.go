//go:build !race

package main

// Sizes of the largest runs, and whether it is measured how long they take.
const (
	manyRows   = 1_000_000
	killedRows = 500_000
	sharedRows = 600_000
	kills      = 20
	timed      = true
)

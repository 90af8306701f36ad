//go:build race

package main

// The race detector makes everything some ten times slower, this process and its
// emulator too: the largest runs have fewer rows with it, and nothing is concluded
// from how long something takes. Every other assertion stays.
const (
	manyRows   = 100_000
	killedRows = 200_000
	sharedRows = 150_000
	kills      = 8
	timed      = false
)

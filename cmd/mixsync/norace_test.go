//go:build !race

package main

// Sizes of the largest runs.
const (
	manyRows   = 1_000_000
	killedRows = 500_000
	kills      = 20
)

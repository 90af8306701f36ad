//go:build !race

package main

// scale divides the number of rows of the largest runs.
const scale = 1

//go:build race

package runner_test

// worlds is how many random histories the property test goes through.
const worlds = 6

package configs

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean suggests the candidate nearest to what was written, or says nothing.
func didYouMean(written string, candidates []string) string {
	if best := nearest(written, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// nearest returns the candidate with the smallest edit distance, if it is small
// enough to be a slip of the pen; the first of several equals wins.
func nearest(written string, candidates []string) string {
	w := fold(written)
	best, least := "", 1+max(1, len(w)/3)
	for _, c := range candidates {
		if d := distance(w, fold(c), least); d < least {
			best, least = c, d
		}
	}
	return best
}

// fold makes maxRejects, max-rejects and MAX_REJECTS all alike.
func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b; anything of limit or more is reported as limit.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) >= limit || len(y)-len(x) >= limit {
		return limit
	}
	var before []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		next := make([]int, len(y)+1)
		next[0] = i + 1
		for j := range y {
			d := row[j]
			if x[i] != y[j] {
				d++
			}
			d = min(d, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				d = min(d, before[j-1]+1)
			}
			next[j+1] = d
		}
		before, row = row, next
		if slices.Min(row) >= limit {
			return limit
		}
	}
	return min(row[len(y)], limit)
}

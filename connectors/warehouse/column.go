package warehouse

import "strings"

func checkCursor(f Field) error {
	if f.Kind.IsCursor() {
		return nil
	}
	return Errorf(ClassSchema, "choose a timestamp, date or integer column that says when a row became visible, or cast it in a query",
		"cursor column %q has type %s, which cannot be a cursor", f.Name, f.Type)
}

func missingColumn(role, name string, src Source, s *Schema) error {
	hint := "its columns are " + strings.Join(s.Names(), ", ")
	if near := closest(name, s.Names()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return Errorf(ClassSchema, hint, "%s has no column %q, named as %s", src, name, role)
}

// closest returns the candidate that is few edits away from name, or "".
func closest(name string, candidates []string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

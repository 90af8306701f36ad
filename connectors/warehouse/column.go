package warehouse

import (
	"fmt"
	"strings"
)

func checkCursor(f Field) error {
	if f.Kind.IsCursor() {
		return nil
	}
	return Errorf(ClassSchema, "choose a timestamp, date or integer column that says when a row became visible, or cast it in a query",
		"cursor column %q has type %s, which cannot be a cursor", f.Name, f.Type)
}

func missingColumn(role, name string, src Source, s *Schema) error {
	return Errorf(ClassSchema, Suggest(name, s.Names()), "%s has no column %q, named as %s", src, name, role)
}

// Suggest makes a hint of what a name may have been meant to be: the nearest of
// the names, or which there are.
func Suggest(name string, names []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, candidate := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return "the columns are " + abbreviate(names)
	}
	return fmt.Sprintf("did you mean %q?", best)
}

func abbreviate(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// distance is the number of letters to insert, delete or change between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

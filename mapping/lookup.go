package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// column finds a column by name and adds a fault if there is not exactly one.
func (c *compiler) column(path, name string) int {
	var same []string
	for i := range c.schema.Fields {
		f := &c.schema.Fields[i]
		if f.Name == name && slices.Contains(c.doubled, name) {
			c.faults.add(path, fmt.Sprintf("the result has column %q more than once", name), "give each column of the query a name of its own")
			return -1
		}
		if strings.EqualFold(f.Name, name) {
			same = append(same, f.Name)
		}
	}
	if i := c.schema.Index(name); i >= 0 {
		return i
	}
	if len(same) > 1 {
		c.faults.add(path, fmt.Sprintf("%q may mean column %q or %q", name, same[0], same[1]), "write the name in the letter case of the one that is meant")
		return -1
	}
	c.faults.add(path, fmt.Sprintf("there is no column %q", name), warehouse.Suggest(name, c.schema.Names()))
	return -1
}

// match reports whether a name is what a glob describes: * is any text, ? any one
// character. Letter case is ignored, because warehouses fold unquoted names.
func match(glob, name string) bool {
	g, n := []rune(strings.ToLower(glob)), []rune(strings.ToLower(name))
	star, back := -1, 0 // the last star, and where in the name it stopped matching
	i, j := 0, 0
	for j < len(n) {
		switch {
		case i < len(g) && g[i] == '*':
			star, back = i, j
			i++
		case i < len(g) && (g[i] == '?' || g[i] == n[j]):
			i++
			j++
		case star >= 0:
			back++
			i, j = star+1, back
		default:
			return false
		}
	}
	for i < len(g) && g[i] == '*' {
		i++
	}
	return i == len(g)
}

func matchAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return match(g, name) })
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

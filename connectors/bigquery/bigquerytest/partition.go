//go:build cgo

package bigquerytest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// partitioning is how a table is kept: by the days of a column.
type partitioning struct {
	column   string
	required bool // a query must have a condition on it
}

// Partition makes a table partitioned by the days of a column; required says that
// it may only be queried with a condition on that. With the columns _PARTITIONTIME
// or _PARTITIONDATE the table is partitioned by the time of loading, and * leaves
// them out.
func (s *Server) Partition(t testing.TB, table, column string, required bool) {
	t.Helper()
	s.mu.Lock()
	s.parts[table] = partitioning{column, required}
	s.mu.Unlock()
}

// Every row counts as so many bytes scanned.
const rowBytes = 100

// scan counts what a statement reads of its tables: those partitions that its
// conditions on the bare column leave.
func (s *Server) scan(ctx context.Context, j *job, statement string, tables []table) (string, *refusal) {
	for _, t := range tables {
		s.mu.Lock()
		p, partitioned := s.parts[t.dataset+"."+t.name]
		s.mu.Unlock()
		count := fmt.Sprintf(`SELECT count(*), 0 FROM %s`, t.sql())
		if partitioned {
			conditions := pruning(statement, p.column)
			if len(conditions) == 0 && p.required {
				return "", invalid(fmt.Sprintf("Cannot query over table '%s.%s.%s' without a filter over column(s) '%s' that can be used for partition elimination",
					t.project, t.dataset, t.name, p.column))
			}
			count = fmt.Sprintf(`SELECT count(*), count(DISTINCT date_trunc('day', "%s")) FROM %s WHERE true`, p.column, t.sql())
			for _, c := range conditions {
				count += " AND " + c
			}
			statement = hide(statement, p.column)
		}
		var rows, partitions int64
		if err := s.db.QueryRowContext(ctx, count).Scan(&rows, &partitions); err != nil {
			return "", failure(err)
		}
		s.mu.Lock()
		j.RowsRead += rows
		j.Partitions += partitions
		j.Bytes += rows * rowBytes
		s.mu.Unlock()
	}
	return statement, nil
}

// pruning finds the conditions on a bare column by which partitions are skipped:
// those that constants are known of. It looks at the last WHERE, which is the
// outermost of the statements that mixsync makes.
func pruning(statement, column string) []string {
	at := strings.LastIndex(statement, "WHERE ")
	if at < 0 {
		return nil
	}
	name := `"` + column + `"` // of any case
	is := func(condition, what string) bool {
		size := len(name) + len(what)
		return len(condition) >= size && strings.EqualFold(condition[:size], name+what)
	}
	var conditions []string
	comparison := regexp.MustCompile(`(?i)^\(*` + regexp.QuoteMeta(name) + ` (>=|<=|<|>|=) (CAST\('[^']*' AS [A-Z]+\))`)
	for condition := range strings.SplitSeq(statement[at+len("WHERE "):], "AND ") {
		condition = strings.TrimSpace(condition)
		if m := comparison.FindStringSubmatch(condition); m != nil {
			operator := strings.Replace(strings.Replace(m[1], "<", "<=", 1), ">", ">=", 1)
			operator = strings.Replace(operator, "==", "=", 1)
			conditions = append(conditions, fmt.Sprintf("date_trunc('day', %s) %s date_trunc('day', %s)", name, operator, m[2]))
		} else if is(condition, " IS NOT NULL") {
			conditions = append(conditions, name+" IS NOT NULL")
		} else if is(condition, " IS NULL") {
			conditions = append(conditions, name+" IS NULL")
		}
	}
	return conditions
}

// hide keeps the pseudo-columns of a table out of *.
func hide(statement, column string) string {
	if !strings.HasPrefix(strings.ToUpper(column), "_PARTITION") {
		return statement
	}
	return strings.Replace(statement, "SELECT *", `SELECT * EXCLUDE ("`+column+`")`, 1)
}

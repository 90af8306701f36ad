package snowflake_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/snowflake"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/connectors/warehouse/warehousetest"
)

// accountEnv names a real account by a DSN: user:password@account/database/schema?warehouse=…&role=…
const accountEnv = "MIXSYNC_TEST_SNOWFLAKE"

// TestAccount runs the suite against a real account. Its literals are Snowflake's own.
func TestAccount(t *testing.T) {
	dsn := os.Getenv(accountEnv)
	if dsn == "" {
		t.Skipf("no account to test against: %s names none", accountEnv)
	}
	config, err := sf.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("%s cannot be read", accountEnv)
	}
	account := config.Account
	if host, ok := strings.CutSuffix(config.Host, ".snowflakecomputing.com"); ok {
		account = host
	}
	d, err := snowflake.Open(t.Context(), snowflake.Options{Account: account, User: config.User, Password: config.Password, Role: config.Role,
		Warehouse: config.Warehouse, Database: config.Database, Schema: config.Schema, QueryTag: "mixsync tests"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	db, err := sql.Open("snowflake", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables atomic.Int64
	warehousetest.RunConformance(t, warehousetest.Harness{
		Driver: d,
		Types: slices.DeleteFunc(slices.Clone(types), func(ty warehousetest.Type) bool {
			return strings.HasPrefix(ty.Literal, "TO_VECTOR") // the stand-in's own function
		}),
		Create: func(t testing.TB, columns []warehousetest.Column, rows [][]*string) warehouse.Source {
			name := fmt.Sprintf("conformance_%d", tables.Add(1))
			for statement := range strings.SplitSeq(strings.Replace(createTable(name, columns, rows), "CREATE TABLE", "CREATE OR REPLACE TABLE", 1), ";\n") {
				if statement == "" {
					continue
				}
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { _, _ = db.Exec("DROP TABLE " + name) }) // one that is left behind is replaced by the next
			return warehouse.Source{Table: name}
		},
		Series: func(count int) string {
			return fmt.Sprintf("SELECT CAST(seq8() + 1 AS NUMBER(18,0)) AS n FROM TABLE(GENERATOR(ROWCOUNT => %d))", count)
		},
		Wide: func(count, size int) string {
			return fmt.Sprintf("SELECT repeat('x', %d) AS v FROM TABLE(GENERATOR(ROWCOUNT => %d))", size, count)
		},
		Slow: func(marker string) string { return "SELECT SYSTEM$WAIT(120) AS v /* " + marker + " */" },
		Running: func(t testing.TB, marker string) bool {
			var n int
			err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 100))
				WHERE contains(query_text, ?) AND execution_status = 'RUNNING' AND NOT contains(query_text, 'QUERY_HISTORY')`, marker).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n > 0
		},
	})
}

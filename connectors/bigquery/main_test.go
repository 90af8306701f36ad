//go:build cgo

package bigquery_test

import (
	"os"
	"testing"

	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
)

func TestMain(m *testing.M) {
	if bigquerytest.ServeIfAsked() {
		return
	}
	os.Exit(m.Run())
}

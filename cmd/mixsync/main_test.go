package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
)

// TestMain lets tests and scripts run a real mixsync process: the test binary
// itself, under that name and on the PATH. postgrestest.Start gives them
// databases on one server, which is started by the first and stopped at the end.
func TestMain(m *testing.M) {
	testscript.Main(postgrestest.Tests{M: m}, map[string]func(){"mixsync": main})
}

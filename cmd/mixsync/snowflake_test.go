//go:build cgo

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
	"github.com/mixsync/mixsync/connectors/snowflake/snowflaketest"
)

const snowflakeUsage = `
	usage:
	  type: event
	  table: marts.fct_usage
	  mode: append
	  primary_key: [id]
	  cursor: {column: loaded_at}
	  mapping: {event: event_name, time: occurred_at, company_id: account_id, user_id: user_id, insert_id: id}
`

// Every row of a Snowflake table arrives once: new ones, and those of a run whose
// result could not be downloaded to its end.
func TestSnowflakeTableThatGrows(t *testing.T) {
	w := newWorld(t, emulator.Options{KeysOnly: true})
	server := snowflaketest.Start(t, snowflaketest.Options{InlineRows: 100, ChunkRows: 2000})
	w.block = server.Block()
	rows := func(from, to int) string {
		return fmt.Sprintf(`SELECT i + 0 AS id, ['Login', 'Export'][1 + i %% 2] AS event_name, 'acct' || i %% 500 AS account_id, 'user' || i %% 5000 AS user_id,
			TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS occurred_at, TIMESTAMPTZ '2026-01-01 00:00:30+00' + to_seconds(i) AS loaded_at,
			i * 0.5 AS amount FROM range(%d, %d) AS r(i)`, from, to)
	}
	exec := func(sql string) {
		t.Helper()
		if err := server.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	const first, grown = 10_000, 25_000
	exec("CREATE TABLE fct_usage AS " + rows(1, first))
	w.configure(snowflakeUsage)
	if r := w.sync("usage"); r.Rows != first-1 || r.Accepted != first-1 {
		t.Errorf("the first run read %d and accepted %d rows, want %d", r.Rows, r.Accepted, first-1)
	}
	w.sends("usage", 0)
	mark := w.mark("usage")

	exec("INSERT INTO fct_usage " + rows(first, grown))
	server.RefuseChunks(-1, 403)
	w.fails(1, "warehouse_query", "usage")
	if got := w.mark("usage"); got != mark {
		t.Errorf("the mark moved from %s to %s in a run that failed", mark, got)
	}
	server.RefuseChunks(0, 0)
	w.sync("usage")
	w.sends("usage", 0)
	want := numbers(1, grown)
	slices.Sort(want)
	sameKeys(t, "insert ids", w.mp.InsertIDs(), want)
}

// Snowflake's driver would unpack a native library in every process.
func TestNothingIsUnpacked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "mixsync", "emulator", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = bufio.NewReader(out).ReadString('\n') // it is up
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("a process left %v behind, %v", left, err)
	}
}

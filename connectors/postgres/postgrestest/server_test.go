package postgrestest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The server goes with a process that is killed, too.
func TestServerEndsWithItsProcess(t *testing.T) {
	if os.Getenv("POSTGRESTEST_VICTIM") != "" {
		s, err := Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("DSN " + s.DSN + "\n")
		select {} // until killed
	}
	t.Parallel()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServerEndsWithItsProcess$")
	victim.Env = append(os.Environ(), "POSTGRESTEST_VICTIM=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	n, err := out.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	dsn, ok := strings.CutPrefix(strings.TrimSpace(string(said[:n])), "DSN ")
	if !ok {
		t.Fatalf("the victim said %q", said[:n])
	}
	if err := Exec(t.Context(), dsn, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	_ = victim.Process.Kill()
	_ = victim.Wait()
	address := dsn[strings.Index(dsn, "@")+1 : strings.LastIndex(dsn, "/")]
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server outlives the process that started it")
		}
	}
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:p@h:1/db?sslmode=disable": "postgres://u:p@h:1/x?sslmode=disable",
		"host=h dbname=db":                      "host=h dbname=db dbname=x",
	} {
		if got := withDatabase(in, "x"); got != want {
			t.Errorf("withDatabase(%q) = %q, want %q", in, got, want)
		}
	}
}

//go:build cgo

package bigquerytest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// processEnv holds the options and the database of a server that a copy of the
// test binary runs until its standard input ends.
const processEnv = "MIXSYNC_TEST_BIGQUERY_PROCESS"

type processOptions struct {
	Options Options
	Path    string
}

// ServeIfAsked is called first in TestMain by tests that use StartProcess. In the
// process that is to be the server it does not return before that is over, and
// says so.
func ServeIfAsked() bool {
	text := os.Getenv(processEnv)
	if text == "" {
		return false
	}
	var o processOptions
	err := json.Unmarshal([]byte(text), &o)
	var s *Server
	if err == nil {
		s, err = start(context.Background(), o.Options, o.Path, "127.0.0.1:0", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Println("error:", err)
		return true
	}
	fmt.Println(s.Endpoint, s.GRPCEndpoint)
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.stop()
	return true
}

// Process is a server in a process of its own, so that the time and memory of
// whoever reads from it can be told from its own.
type Process struct {
	Endpoint, GRPCEndpoint string
}

// StartProcess runs a server in another process until the test ends.
func StartProcess(t testing.TB, o Options) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env, err := json.Marshal(processOptions{o, filepath.Join(t.TempDir(), "standin.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), processEnv+"="+string(env))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	said, _ := bufio.NewReader(out).ReadString('\n')
	rest, rpc, ok := strings.Cut(strings.TrimSpace(said), " ")
	if !ok || !strings.HasPrefix(rest, "http://") {
		t.Fatalf("the server says %q; does TestMain call ServeIfAsked?", said)
	}
	return &Process{rest, rpc}
}

// Exec runs statements in the engine's own SQL.
func (p *Process) Exec(t testing.TB, statements string) {
	t.Helper()
	body, err := json.Marshal(statements)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Endpoint+"/standin/exec", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s\n%.500s", said, statements)
	}
}

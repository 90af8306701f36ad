//go:build cgo

package snowflaketest

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
	"testing"
)

// processEnv holds the options, as JSON, of the server that a copy of the test
// binary is to be.
const processEnv = "MIXSYNC_TEST_SNOWFLAKE_SERVER"

// Main is called first by the TestMain of a package that uses StartProcess. It
// reports whether this process was to be a server, and has been one until its
// standard input ended.
func Main() bool {
	text := os.Getenv(processEnv)
	if text == "" {
		return false
	}
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Println(err)
		return true
	}
	s, err := Open(o)
	if err != nil {
		fmt.Println(err)
		return true
	}
	defer s.Close()
	fmt.Println(s.Port())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return true
}

// Process is a server in a process of its own, so that what it costs is not the
// test's. It has no faults.
type Process struct {
	Options
	Port int
}

// StartProcess runs a server in a process of its own until the test ends.
func StartProcess(t testing.TB, o Options) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if o.Account == "" {
		o.Account, o.User, o.Password, o.Database, o.Schema = "TEST", "MIXSYNC", "secret", "ANALYTICS", "MARTS"
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self)
	cmd.Env = append(os.Environ(), processEnv+"="+string(text))
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
	p := &Process{Options: o}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &p.Port); err != nil {
		t.Fatalf("the server's process says %q", line)
	}
	return p
}

// Exec runs statements in the engine.
func (p *Process) Exec(t testing.TB, sql string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/exec", p.Port), bytes.NewBufferString(sql))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s\n%.500s", body, sql)
	}
}

// execRequest is Exec for another process.
func (s *Server) execRequest(w http.ResponseWriter, r *http.Request) {
	sql, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.Exec(string(sql))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

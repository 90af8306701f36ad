package checkpoint_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/mixsync/mixsync/connectors/postgres/postgrestest"
)

// Some tests need another process: one that is killed, has a file-size limit or
// is not root. It is this test binary again, with childEnv naming what it does.
const childEnv = "MIXSYNC_CHECKPOINT_CHILD"

// children do their part with the URL of a state, print what the test wants to
// know line by line, and return what went wrong.
var children = map[string]func(ctx context.Context, url string) error{
	"save":  saveForEver,
	"hold":  holdLease,
	"grow":  growUntilFull,
	"open":  justOpen,
	"read":  justRead,
	"share": shareFile,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](context.Background(), os.Args[1]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(postgrestest.Tests{M: m})
}

// child is a running child process.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, name, url string, env ...string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], url)
	cmd.Env = append(append(os.Environ(), childEnv+"="+name), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return &child{t: t, cmd: cmd, lines: bufio.NewScanner(out)}
}

// line waits for the child's next line.
func (c *child) line() string {
	c.t.Helper()
	if !c.lines.Scan() {
		c.t.Fatalf("the child ended: %v, %v", c.lines.Err(), c.cmd.Wait())
	}
	return c.lines.Text()
}

// kill kills the child.
func (c *child) kill() {
	c.t.Helper()
	must(c.t, c.cmd.Process.Kill())
	c.rest()
}

// rest waits for the child to end, by itself or killed, and returns the lines
// it had yet to say.
func (c *child) rest() (lines []string) {
	for c.lines.Scan() {
		lines = append(lines, c.lines.Text())
	}
	_ = c.cmd.Wait() // a child that failed has said why
	return lines
}

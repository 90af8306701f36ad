// Package deploy_test holds what is deployed to its promises: every manifest is
// decoded as strictly as an API server does, and every command line in it runs on
// the real binary, in a folder laid out as Kubernetes lays out the pod.
package deploy_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// mixsync builds the binary, once for all tests, and returns its path.
func mixsync(t *testing.T) string {
	t.Helper()
	built.once.Do(func() { built.err = build(t) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "mixsync")
}

func build(t *testing.T) error {
	// go test does not know that the binary's sources are input to this test, and
	// would remember its result when they change: it notes what is opened here.
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && len(d.Name()) > 2 && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return err
	}
	if built.dir, err = os.MkdirTemp("", "mixsync-deploy-"); err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(built.dir, "mixsync"), "./cmd/mixsync")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

package checkpoint_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/sync/checkpoint"
)

func TestOpenCreatesPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, "sqlite:"+dir+"/a b/c?d#e%/state.db", checkpoint.Options{})
	lease(t, s, "usage", "prod")
	if s.UUID() == "" {
		t.Error("the state has no UUID")
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	must(t, err)
	if _, err := os.Stat(dir + "/a b/c?d#e%/state.db.locks/1"); err != nil {
		t.Error(err)
	}
}

func TestStateURLs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, want := range map[string]string{
		"sqlite:state.db":                "state.db",
		"sqlite:.mixsync/x.db":           ".mixsync/x.db",
		"sqlite://" + dir + "/three.db":  "three.db",
		"sqlite:" + dir + "/one.db":      "one.db",
		"sqlite:sub/../up.db":            "up.db",
		"sqlite::memory:":                "",
		"sqlite://:memory:":              "",
		"sqlite:a file with :memory: in": "a file with :memory: in",
	} {
		s := open(t, url, checkpoint.Options{})
		must(t, s.Close())
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Errorf("Open(%q): %v", url, err)
		}
	}
	for _, url := range []string{"", "state.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://relative/x.db", "sqlite:dir/",
		"mysql://u:secret@h/db", "postgres://u:secret@h:port/db", "postgresql://u:secret@h/db?sslmode=perhaps"} {
		_, err := checkpoint.Open(t.Context(), url, checkpoint.Options{})
		wantKind(t, err, checkpoint.KindURL)
		e, _ := errors.AsType[*checkpoint.Error](err)
		if strings.Contains(e.Error()+e.Hint, "secret") || e.Hint == "" {
			t.Errorf("Open(%q): %v; hint %q", url, e, e.Hint)
		}
	}
}

func TestNamesOfOneFileShareItsLocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/real", 0o700))
	must(t, os.Symlink(dir+"/real", dir+"/link"))
	a := open(t, "sqlite:"+dir+"/link/state.db", checkpoint.Options{})
	b := open(t, "sqlite:"+dir+"/real/../real/state.db", checkpoint.Options{})
	lease(t, a, "usage", "prod")
	target, err := b.Target(t.Context(), "usage", "prod")
	must(t, err)
	if _, err := b.Acquire(t.Context(), target); !errors.Is(err, checkpoint.ErrHeld) {
		t.Errorf("Acquire under another name = %v, want ErrHeld", err)
	}
	if a.UUID() != b.UUID() {
		t.Errorf("two UUIDs: %s and %s", a.UUID(), b.UUID())
	}
}

// Files that are no state of ours are refused and left as they are.
func TestUnfitFiles(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state.db")
	must(t, open(t, "sqlite:"+state, checkpoint.Options{}).Close())
	good, err := os.ReadFile(state)
	must(t, err)
	damaged := bytes.Clone(good)
	for i := 200; i < len(damaged); i++ {
		damaged[i] ^= 0x5a
	}
	for name, test := range map[string]struct {
		make func(path string)
		want checkpoint.Kind
	}{
		"text":      {func(path string) { must(t, os.WriteFile(path, bytes.Repeat([]byte("not a database. "), 1000), 0o600)) }, checkpoint.KindNotDatabase},
		"damaged":   {func(path string) { must(t, os.WriteFile(path, damaged, 0o600)) }, checkpoint.KindCorrupt},
		"cut short": {func(path string) { must(t, os.WriteFile(path, good[:5000], 0o600)) }, checkpoint.KindCorrupt},
		"folder":    {func(path string) { must(t, os.Mkdir(path, 0o700)) }, checkpoint.KindURL},
		"another's": {func(path string) { script(t, path, `CREATE TABLE customers (id INT)`) }, checkpoint.KindNotDatabase},
		"newer": {func(path string) {
			must(t, os.WriteFile(path, good, 0o600))
			script(t, path, `INSERT INTO schema_migrations VALUES (99, 0)`)
		}, checkpoint.KindNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state.db")
			test.make(path)
			before, _ := os.ReadFile(path)
			for _, o := range []checkpoint.Options{{}, {ReadOnly: true}} {
				_, err := checkpoint.Open(t.Context(), "sqlite:"+path, o)
				wantKind(t, err, test.want)
				if e, ok := errors.AsType[*checkpoint.Error](err); ok && e.Hint == "" {
					t.Errorf("%v has no hint", err)
				}
				if errors.Is(err, checkpoint.ErrNewer) != (test.want == checkpoint.KindNewer) {
					t.Errorf("errors.Is(%v, ErrNewer)", err)
				}
			}
			after, _ := os.ReadFile(path)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func script(t *testing.T, path, sqlText string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec(sqlText)
	must(t, errors.Join(err, db.Close()))
}

// What the file system forbids is said as such. A child does it: root may do
// anything.
func TestForbiddenFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dir, file       os.FileMode // file 0: there is none
		toWrite, toRead string      // a kind of error, or the child's answer without the UUID
	}{
		"unwritable folder":       {0o755, 0, "permission", " 0"},
		"unreadable folder":       {0o700, 0o666, "permission", "permission"},
		"unreadable file":         {0o777, 0o600, "permission", "permission"},
		"unwritable file":         {0o777, 0o444, "permission", " 1"},
		"writable in such":        {0o755, 0o666, "permission", " 1"},
		"unwritable file in such": {0o755, 0o444, "permission", " 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openFolder(t, 0o777)
			path, uuid := filepath.Join(dir, "state.db"), ""
			if test.file != 0 {
				s := open(t, "sqlite:"+path, checkpoint.Options{})
				_, err := s.Target(t.Context(), "usage", "prod")
				must(t, err)
				uuid = s.UUID()
				must(t, s.Close())
				must(t, os.Chmod(path, test.file))
			}
			must(t, os.Chmod(dir, test.dir))
			for does, want := range map[string]string{"open": test.toWrite, "read": test.toRead} {
				got := startChild(t, does, "sqlite:"+path).rest()
				if len(got) != 1 || strings.TrimPrefix(got[0], uuid) != want {
					t.Errorf("%s: %q, want %q", does, got, want)
				}
			}
			wantOnly(t, dir, "state.db")
		})
	}
}

// wantOnly checks that a folder holds nothing but one file, or not even that.
func wantOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "sqlite:" + dir + "/state.db"
	read := func(wantUUID string, wantTargets int) {
		t.Helper()
		s := open(t, url, checkpoint.Options{ReadOnly: true})
		if s.UUID() != wantUUID {
			t.Errorf("UUID = %q, want %q", s.UUID(), wantUUID)
		}
		targets, err := s.Targets(t.Context())
		if err != nil || len(targets) != wantTargets {
			t.Errorf("Targets = %v, %v, want %d", targets, err, wantTargets)
		}
		nobody, err := s.Target(t.Context(), "nobody", "prod")
		if err != nil || nobody.ID != 0 || nobody.Sync != "nobody" {
			t.Errorf("Target = %+v, %v", nobody, err)
		}
		_, err = s.Acquire(t.Context(), nobody)
		wantKind(t, err, checkpoint.KindUsage)
		must(t, s.Close())
	}

	read("", 0)
	wantOnly(t, dir, "")
	must(t, os.WriteFile(dir+"/state.db", nil, 0o600)) // killed right after creating it
	read("", 0)
	wantOnly(t, dir, "state.db")

	s := open(t, url, checkpoint.Options{})
	lease(t, s, "usage", "prod")
	read(s.UUID(), 1) // beside a writer
	reading := open(t, url, checkpoint.Options{ReadOnly: true})
	target, err := reading.Target(t.Context(), "usage", "prod")
	must(t, err)
	_, err = reading.Acquire(t.Context(), target)
	wantKind(t, err, checkpoint.KindUsage)
	_, err = reading.DropRejects(t.Context(), checkpoint.RejectFilter{})
	wantKind(t, err, checkpoint.KindUsage)
	must(t, s.Close())
	must(t, reading.Close())
	must(t, os.RemoveAll(dir+"/state.db.locks"))
	read(s.UUID(), 1)
	wantOnly(t, dir, "state.db")
}

func TestFileReplacedInUse(t *testing.T) {
	t.Parallel()
	url := fileURL(t)
	path := strings.TrimPrefix(url, "sqlite:")
	s := open(t, url, checkpoint.Options{})
	l, _ := lease(t, s, "usage", "prod")
	r := begin(t, l, checkpoint.Incremental)
	must(t, os.Rename(path, path+".old"))
	wantKind(t, checkpoint.SaveRun(t.Context(), l, r, checkpoint.Progress{}), checkpoint.KindReplaced)
	must(t, os.WriteFile(path, nil, 0o600))
	wantKind(t, checkpoint.SaveRun(t.Context(), l, r, checkpoint.Progress{}), checkpoint.KindReplaced)
}

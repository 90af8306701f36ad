package checkpoint

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// The schema that migrations lead to, as SQLite tells it. A difference without
// a new migration would break every state there is.
func TestSchema(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite::memory:", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var b strings.Builder
	rows, err := s.r.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var ddl string
		if err := rows.Scan(&ddl); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s;\n", ddl)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/schema.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("schema (-want +got):\n%s", d)
	}
	if v, err := s.version(t.Context(), s.r); v != schemaVersion || err != nil {
		t.Errorf("version = %d, %v, want %d", v, err, schemaVersion)
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil || len(files) != schemaVersion {
		t.Errorf("%d migrations lead to version %d, %v", len(files), schemaVersion, err)
	}
}

func TestOnVolume(t *testing.T) {
	t.Parallel()
	const pod = `1500 1400 0:300 / / rw,relatime master:500 - overlay overlay rw,lowerdir=/a
1501 1500 0:301 / /proc rw,nosuid - proc proc rw
1502 1500 0:302 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
1503 1502 0:290 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k
1504 1500 8:16 / /var/lib/mixsync rw,relatime - ext4 /dev/sdb rw
1505 1500 8:1 /pods/x/volumes/v1 /data\040volume rw - ext4 /dev/sda1 rw
1507 1500 8:1 /var/lib/kubelet/pods/x/volumes/kubernetes.io~empty-dir/scratch /scratch rw - ext4 /dev/sda1 rw
1506 1500 8:1 /etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
`
	for _, test := range []struct {
		path, mounts string
		want         bool
	}{
		{"/var/lib/mixsync/state.db", pod, true},
		{"/var/lib/mixsync/deep/down/state.db", pod, true},
		{"/data volume/state.db", pod, true},
		{"/var/lib/mixsync2/state.db", pod, false},
		{"/var/lib/state.db", pod, false},
		{"/root/.mixsync/state.db", pod, false},
		{"/scratch/state.db", pod, false},
		{"/dev/shm/state.db", pod, false},
		{"/proc/state.db", pod, false},
		{"/state.db", pod, false},
		{"/state.db", "", false},
		{"/data/state.db", "garbage\n1 2 3\n", false},
		// What is mounted last is what is seen.
		{"/data/x/state.db", "1 0 8:1 / /data rw - ext4 x rw\n2 1 8:2 / /data/x rw - ext4 y rw\n", true},
	} {
		if got := onVolume(test.path, test.mounts); got != test.want {
			t.Errorf("onVolume(%q) = %t, want %t", test.path, got, test.want)
		}
	}
}

func TestPodWithoutVolume(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	_, err := Open(t.Context(), "sqlite::memory:", Options{})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != KindVolatile || !strings.Contains(e.Hint, "--ephemeral-state") {
		t.Errorf("Open in a pod = %v", err)
	}
	for _, o := range []Options{{Ephemeral: true}, {ReadOnly: true}} {
		s, err := Open(t.Context(), "sqlite::memory:", o)
		if err != nil {
			t.Fatalf("Open(%+v) in a pod: %v", o, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A full database, without a full disk at hand: the Save fails as such, leaves
// no trace and can be repeated.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, "sqlite:"+t.TempDir()+"/state.db", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	r := &Run{Kind: Incremental}
	if err := StartRun(ctx, l, r); err != nil {
		t.Fatal(err)
	}
	p := Progress{Counts: Counts{Rows: 7}, Ledger: make([]Entry, 10_000)}
	for i := range p.Ledger {
		p.Ledger[i].Key = uint64(i)
	}
	if _, err := s.w.Exec(`PRAGMA max_page_count = 30`); err != nil {
		t.Fatal(err)
	}
	err = SaveRun(ctx, l, r, p)
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindFull || e.Hint == "" {
		t.Errorf("Save = %v, want an error of kind %s", err, KindFull)
	}
	if got, err := s.Run(ctx, r.ID); err != nil || got.Counts.Rows != 0 {
		t.Errorf("after a Save that failed the run is %+v, %v", got, err)
	}
	if _, err := s.w.Exec(`PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if err := SaveRun(ctx, l, r, p); err != nil {
		t.Error(err)
	}
}

// Segments larger than one may be, and more of them than memory may hold.
func TestManySegments(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, "sqlite:"+t.TempDir()+"/state.db", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	r := &Run{Kind: Incremental}
	if err := StartRun(ctx, l, r); err != nil {
		t.Fatal(err)
	}
	const n = 2*maxSegment + 1000
	s.segments.limit = maxSegment * entrySize * 3 / 2
	p := Progress{Ledger: make([]Entry, n)}
	for i := range p.Ledger {
		k := rand.Uint64()
		p.Ledger[i] = Entry{Key: k, Cursor: int64(i), Hash: ^k}
	}
	if err := SaveRun(ctx, l, r, p); err != nil {
		t.Fatal(err)
	}
	list, _, err := listSegments(ctx, s.r, target.ID)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d segments, %v", len(list), err)
	}
	keys, into := make([]uint64, 0, 1000), map[uint64]Entry{}
	for i := range 1000 {
		keys = append(keys, p.Ledger[i*n/1000].Key)
	}
	for range 2 {
		if err := s.Ledger(ctx, target.ID, keys, into); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if into[k].Hash != ^k {
				t.Fatalf("entry %d = %+v", k, into[k])
			}
		}
		if s.segments.bytes > s.segments.limit || s.segments.bytes < s.segments.limit/2 {
			t.Errorf("%d bytes are kept in memory, of at most %d", s.segments.bytes, s.segments.limit)
		}
	}
	if err := l.Release(); err != nil || s.segments.bytes != 0 {
		t.Errorf("after Release %d bytes are kept, %v", s.segments.bytes, err)
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte("abcabcxyz"), []byte("bcd"))
	f.Add([]byte{}, []byte{255, 0, 0})
	f.Fuzz(func(t *testing.T, older, newer []byte) {
		want := map[uint64]item{}
		items := func(keys []byte, hash uint64) (list []item) {
			for i, k := range keys {
				it := item{key: uint64(k) << 56, cursor: int64(i) - 3, hash: hash + uint64(i), filed: uint32(k)}
				want[it.key] = it
				list = append(list, it)
			}
			return list
		}
		s := pack(sortItems(items(older, 1)))
		s = pack(merge(s, sortItems(items(newer, 1000))))
		if s.len() != len(want) {
			t.Fatalf("%d entries, want %d", s.len(), len(want))
		}
		at := 0
		for k := range uint64(256) {
			k <<= 56
			at = s.seek(at, k)
			it, there := want[k]
			if found := at < s.len() && s.key(at) == k; found != there || found && s.item(at) != it {
				t.Fatalf("key %x: found %t, want %t", k, found, there)
			}
			if other := s.seek(0, k); other != at {
				t.Fatalf("seek(0, %x) = %d, from before it %d", k, other, at)
			}
		}
	})
}

// Old runs are forgotten, unfinished ones never.
func TestRunsAreForgotten(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, "sqlite::memory:", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := s.Target(ctx, "usage", "prod")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	old := &Run{Kind: Resync}
	if err := StartRun(ctx, l, old); err != nil {
		t.Fatal(err)
	}
	_, err = s.w.Exec(`WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO runs (id, target_id, seq, kind, status, bounds, shape, counts, started_at)
		SELECT 'run ' || i, ?, i, 'incremental', 'succeeded', '{}', '', '{}', i FROM n`, keepRuns+5, target.ID)
	if err == nil {
		_, err = s.w.Exec(`UPDATE targets SET run_seq = ?`, keepRuns+5)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &Run{Kind: Incremental}
	if err := StartRun(ctx, l, r); err != nil {
		t.Fatal(err)
	}
	if err := FinishRun(ctx, l, r, Outcome{Status: Succeeded}); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(ctx, RunFilter{TargetID: target.ID})
	if err != nil || len(runs) != keepRuns+1 {
		t.Fatalf("%d runs are left, %v, want %d", len(runs), err, keepRuns+1)
	}
	var seqs []int64
	for _, r := range runs {
		seqs = append(seqs, r.Seq)
	}
	slices.Sort(seqs)
	if seqs[0] != old.Seq || seqs[1] != 7 || seqs[keepRuns] != r.Seq {
		t.Errorf("the runs left are %d, %d … %d", seqs[0], seqs[1], seqs[keepRuns])
	}
}

// A position never passes rows that are not known to be there: a run that was
// killed in between would take their profiles for gone, and delete them.
func TestSeenIsSavedWithThePosition(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, "sqlite::memory:", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := s.Target(ctx, "users", "prod")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	r := &Run{Kind: Incremental}
	if err := StartRun(ctx, l, r); err != nil {
		t.Fatal(err)
	}
	if err := SaveRun(ctx, l, r, Progress{Hashes: []HashEntry{{Key: 1, Hash: 1, Ident: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.ExecContext(ctx, `CREATE TRIGGER broken BEFORE UPDATE OF seen ON hashes BEGIN SELECT RAISE(ABORT, 'injected'); END`); err != nil {
		t.Fatal(err)
	}
	key := "k"
	if err := SaveRun(ctx, l, r, Progress{Position: &warehouse.Position{Keys: []*string{&key}}, Seen: []uint64{1}}); err == nil {
		t.Fatal("Save succeeded although the rows seen could not be kept")
	}
	got, err := SavedSlice(ctx, s, r)
	if err != nil || got.Position != nil {
		t.Errorf("position = %v, %v, want none", got.Position, err)
	}
}

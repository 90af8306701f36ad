package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only what the file itself can give back is let go.
func TestUntouched(t *testing.T) {
	t.Parallel()
	mapping := func(head string, private string) string {
		return head + "\nSize:                128 kB\nRss:                  64 kB\nAnonymous:           " + private + " kB\nVmFlags: rd mr mw me\n"
	}
	smaps := mapping("00400000-00a9a000 r--p 00000000 fe:00 123        /opt/the program", "0") +
		mapping("00a9a000-04a6b000 r-xp 0069a000 fe:00 123        /opt/the program", "0") +
		mapping("0763b000-076ba000 r--p 0723b000 fe:00 123        /opt/the program", "304") + // relocated
		mapping("076ba000-07883000 rw-p 072ba000 fe:00 123        /opt/the program", "0") +
		mapping("c000000000-c000400000 rw-p 00000000 00:00 0 ", "0") +
		mapping("7f0000000000-7f0000001000 r-xp 00000000 fe:00 9  /lib/libc.so.6", "0") +
		mapping("7f0000002000-7f0000003000 r-xp 00000000 fe:00 8  /opt/another/opt/the program", "0") +
		mapping("7ffd06de3000-7ffd06e04000 r--p 00000000 00:00 0  [vvar]", "0")
	got := untouched([]byte(smaps), "/opt/the program")
	want := []addresses{{0x400000, 0xa9a000}, {0xa9a000, 0x4a6b000}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(addresses{})); diff != "" {
		t.Errorf("untouched (-want +got):\n%s", diff)
	}
}

// The process gets smaller and goes on.
func TestForgetStartup(t *testing.T) {
	before := residentProgram(t)
	forgetStartup()
	after := residentProgram(t)
	if after >= before {
		t.Errorf("%d kB of the program are resident, %d kB before", after, before)
	}
}

// residentProgram is how many kB of the test's own file are mapped and present.
func residentProgram(t *testing.T) int {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	total, ours := 0, false
	for line := range bytes.Lines(text) {
		if strings.Contains(string(line), "-") && bytes.Contains(line, []byte("p ")) {
			ours = bytes.HasSuffix(bytes.TrimSpace(line), []byte(program))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Rss:")); ok && ours {
			n, err := strconv.Atoi(strings.Fields(string(value))[0])
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

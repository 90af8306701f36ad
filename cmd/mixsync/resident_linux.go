package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forgetStartup unmaps the pages of the program's own file that starting up has
// mapped. Every library linked in initialises itself, also those of warehouses
// that nobody configured, the dynamic linker reads all of DuckDB's symbols, and
// Linux maps a file in large pieces around each byte that is touched: tens of
// megabytes that a run never looks at again. What it does look at is mapped anew,
// from the page cache, at the cost of some hundred minor faults. The page cache
// keeps the file as before; it is the process that no longer holds on to it.
//
// It is a saving, not a need: where /proc cannot be read nothing happens.
func forgetStartup() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range untouched(text, program) {
		// The memory stays what it is, so an error means only that it stays resident.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// addresses are those of a mapping, the end exclusive.
type addresses struct{ start, end uintptr }

// untouched lists the mappings of a file that are what the file holds: not
// writable, and no page of them a private copy. Relocated constants are neither
// writable nor in the file, and would be lost.
func untouched(smaps []byte, file string) []addresses {
	var list []addresses
	var m addresses
	ours := false
	for s := bufio.NewScanner(bytes.NewReader(smaps)); s.Scan(); {
		line := s.Bytes()
		if value, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok {
			if ours && string(bytes.TrimSpace(value)) == "0 kB" {
				list = append(list, m)
			}
			ours = false
			continue
		}
		// 00400000-00a9a000 r--p 00000000 fe:00 123      /path
		fields := bytes.Fields(line)
		if len(fields) < 6 || len(fields[1]) != 4 {
			continue
		}
		from, to, _ := bytes.Cut(fields[0], []byte("-"))
		start, err1 := strconv.ParseUint(string(from), 16, 64)
		end, err2 := strconv.ParseUint(string(to), 16, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		m = addresses{start: uintptr(start), end: uintptr(end)}
		ours = fields[1][0] == 'r' && fields[1][1] == '-' && bytes.HasSuffix(line, []byte(" "+file))
	}
	return list
}

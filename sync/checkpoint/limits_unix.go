//go:build unix

package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSizeLimit is the process's limit on the size of a file, as text; empty
// when there is none.
func fileSizeLimit() string {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l) != nil {
		return ""
	}
	limit := uint64(l.Cur) //nolint:unconvert // it is signed on FreeBSD
	if limit >= math.MaxInt64 {
		return ""
	}
	return fmt.Sprintf("%d bytes", limit)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func isReadOnlyFS(err error) bool { return errors.Is(err, syscall.EROFS) }

// writable reports whether this user may write to a file or folder.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

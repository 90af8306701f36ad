package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Kind says what is wrong with a state, and so who can mend it.
type Kind string

const (
	KindURL         Kind = "url"          // the state URL is not one we can open
	KindPermission  Kind = "permission"   // the file or its folder may not be read or written
	KindReadOnly    Kind = "read_only"    // the file or its file system takes no writes
	KindFull        Kind = "full"         // the disk is full, or a quota or file-size limit is reached
	KindNotDatabase Kind = "not_database" // the file is something else
	KindCorrupt     Kind = "corrupt"      // the file is damaged
	KindReplaced    Kind = "replaced"     // the file was deleted or replaced while in use
	KindBusy        Kind = "busy"         // another process kept it locked for too long
	KindNewer       Kind = "newer"        // written by a newer mixsync
	KindOlder       Kind = "older"        // written by an older mixsync, and opened for reading only
	KindVolatile    Kind = "volatile"     // it would not outlive the pod
	KindUsage       Kind = "usage"        // a call that the state's rules forbid: a bug of ours
	KindUnreachable Kind = "unreachable"  // the server does not answer
	KindIO          Kind = "io"           // any other failure of the file or the database
)

// Error is a classified error of the state. Nothing was half-written: what
// failed left the state as it was.
type Error struct {
	Kind Kind
	Path string // the file, or the URL's scheme; empty for states in memory
	Hint string // how to mend it; may be empty
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "state: " + e.Err.Error()
	}
	return fmt.Sprintf("state %s: %s", e.Path, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrNewer says that the state was written by a newer mixsync than this one.
var ErrNewer = errors.New("written by a newer mixsync")

// hints by kind, where the kind alone says what to do.
var hints = map[Kind]string{
	KindPermission:  "give this user read and write access to the file and to its folder (SQLite keeps two more files beside it)",
	KindReadOnly:    "the state must be writable: check the file's mode and whether the file system or volume is mounted read-only",
	KindFull:        "free space, or raise the quota or file-size limit, and run again: the run goes on where it was saved",
	KindNotDatabase: "the state URL names a file that is no SQLite database: point it elsewhere; the file was not touched",
	KindCorrupt:     "restore the file from a backup, or move it away and set the marks with `mixsync state set`",
	KindReplaced:    "the file was deleted or replaced during the run; run again, and replace a state only while nothing runs",
	KindBusy:        "another process is writing to the state for a long time; see which one, and whether the file is on a network file system",
}

// fail classifies an error of the database or the file system. Errors of the
// context, ErrFenced, ErrHeld and errors already classified pass as they are.
func (s *Store) fail(doing string, err error) error { return classify(s.name(), doing, err) }

// name is what errors call the state by: a path, or a server without credentials.
func (s *Store) name() string {
	if s.place != "" {
		return s.place
	}
	return s.path
}

func classify(path, doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	for _, as := range []error{ErrFenced, ErrHeld, ErrNone, ErrDone, ErrTurn, ErrOver, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, as) {
			return fmt.Errorf("state: %s: %w", doing, err)
		}
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok && se.Code() == sqlite3.SQLITE_INTERRUPT {
		return fmt.Errorf("state: %s: %w", doing, context.Canceled) // only the context interrupts
	}
	if kind, hint, ok := pgKind(err); ok {
		return &Error{Kind: kind, Path: path, Hint: hint, Err: fmt.Errorf("%s: %w", doing, err)}
	}
	kind := kindOf(err)
	hint := hints[kind]
	if kind == KindFull {
		if limit := fileSizeLimit(); limit != "" {
			hint = "this process may write files of at most " + limit + " (ulimit -f); " + hint
		}
	}
	return &Error{Kind: kind, Path: path, Hint: hint, Err: fmt.Errorf("%s: %w", doing, err)}
}

func kindOf(err error) Kind {
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return KindPermission
		case isReadOnlyFS(err):
			return KindReadOnly
		case isFull(err):
			return KindFull
		}
		return KindIO
	}
	switch se.Code() {
	case sqlite3.SQLITE_IOERR_SHMSIZE: // a file could not grow
		return KindFull
	case sqlite3.SQLITE_IOERR_WRITE:
		// SQLite does not pass the cause on. A write that fails for another
		// reason than space is rare, except under a file-size limit.
		if fileSizeLimit() != "" {
			return KindFull
		}
		return KindIO
	case sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_READONLY_CANTINIT:
		return KindPermission // to make the files beside it
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return KindFull
	case sqlite3.SQLITE_READONLY:
		return KindReadOnly
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN:
		return KindPermission
	case sqlite3.SQLITE_NOTADB:
		return KindNotDatabase
	case sqlite3.SQLITE_CORRUPT:
		return KindCorrupt
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return KindBusy
	}
	return KindIO
}

// passing reports whether an error may well pass: the database was locked by
// somebody else, or could not be reached.
func passing(err error) bool {
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return kindOf(err) == KindBusy
	}
	return pgLost(err)
}

// intact fails when the file behind an open store is no longer the one at its path.
func (s *Store) intact() error {
	if s.path == "" || s.file == nil {
		return nil
	}
	now, err := os.Stat(s.path)
	if err == nil && os.SameFile(now, s.file) {
		return nil
	}
	if err == nil {
		err = errors.New("another file has taken its place")
	}
	return &Error{Kind: KindReplaced, Path: s.path, Hint: hints[KindReplaced], Err: err}
}

func usage(format string, args ...any) error {
	return &Error{Kind: KindUsage, Err: fmt.Errorf(format, args...)}
}

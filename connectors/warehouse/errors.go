package warehouse

import (
	"errors"
	"fmt"
)

// Class says what can be done about a warehouse's error.
type Class uint8

const (
	ClassQuery       Class = iota // the statement failed; running it again will not help
	ClassTransient                // a lost connection, a restart, a timeout: worth another try
	ClassUnreachable              // no connection could be had: host, port, TLS
	ClassCredentials              // the warehouse refused the user, password or role
	ClassSchema                   // a table, column or type is not as the configuration says
	ClassConfig                   // the connection block itself is wrong
)

// ErrNeedsFilter is wrapped by the error of a statement that reads a table without
// the condition that the table demands, as one of its partitions' column.
var ErrNeedsFilter = errors.New("the table is only read with a condition on its partitions")

// Error is a classified error of a warehouse. Its text never holds a secret.
type Error struct {
	Class   Class
	Code    string // the warehouse's own code (SQLSTATE), if any
	QueryID string // of the statement that failed, as in Usage; empty: none is known
	Hint    string // how to mend it, if we can guess
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes a classified error.
func Errorf(class Class, hint, format string, args ...any) *Error {
	return &Error{Class: class, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// ClassOf returns the class of an error, ClassQuery if nobody classified it.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ClassQuery
}

package runner

import (
	"errors"
	"fmt"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
	"github.com/mixsync/mixsync/sync/checkpoint"
	"github.com/mixsync/mixsync/sync/pipeline"
)

// Codes of errors. They are part of the contract: add, never rename.
const (
	CodeConfig         = "config"
	CodeUsage          = "usage"
	CodeUnreachable    = "unreachable"
	CodeCredentials    = "credentials"
	CodeWarehouseQuery = "warehouse_query"
	CodeRefused        = "mixpanel_refused"
	CodeTooManyRejects = "too_many_rejects"
	CodeMappingChanged = "mapping_changed"
	CodeState          = "state"
	CodeHeldElsewhere  = "held_elsewhere"
	CodeInterrupted    = "interrupted"
	CodeInternal       = "internal"
)

// Error is why a run did not succeed, in the words of the contract.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Where   string `json:"where"` // file:line:column, or the YAML path; empty where it is not about the configuration

	Faults mapping.Faults `json:"-"` // with CodeConfig: what the live schema says
	Err    error          `json:"-"`
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

func errorf(code, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Hint: hint, Message: err.Error(), Err: err}
}

// Classify says in the contract's words what went wrong.
func Classify(err error) *Error {
	var (
		own    *Error
		faults mapping.Faults
		wh     *warehouse.Error
		mp     *mixpanel.Error
		state  *checkpoint.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &faults):
		hint := ""
		if len(faults) > 0 {
			hint = faults[0].Hint
		}
		return &Error{Code: CodeConfig, Message: faults.Error(), Hint: hint, Faults: faults, Err: err}
	case errors.As(err, &wh):
		return &Error{Code: warehouseCode(wh.Class), Message: err.Error(), Hint: wh.Hint, Err: err}
	case errors.Is(err, pipeline.ErrUnclear): // before the answer it quotes
		return &Error{Code: CodeRefused, Message: err.Error(),
			Hint: "the mark stays before the batch; run again, and if it persists ask Mixpanel support with the answer quoted here", Err: err}
	case errors.As(err, &mp):
		code := CodeRefused
		switch {
		case mp.Credentials:
			code = CodeCredentials
		case mp.Unreachable:
			code = CodeUnreachable
		}
		return &Error{Code: code, Message: err.Error(), Hint: mp.Hint, Err: err}
	case errors.Is(err, checkpoint.ErrHeld):
		return &Error{Code: CodeHeldElsewhere, Message: err.Error(),
			Hint: "wait for the other run to end; only one run per sync and project is allowed at a time", Err: err}
	case errors.As(err, &state):
		code := CodeState
		switch state.Kind {
		case checkpoint.KindURL, checkpoint.KindVolatile: // mended in the configuration
			code = CodeConfig
		case checkpoint.KindUnreachable:
			code = CodeUnreachable
		}
		return &Error{Code: code, Message: err.Error(), Hint: state.Hint, Err: err}
	case errors.Is(err, checkpoint.ErrFenced):
		return &Error{Code: CodeState, Message: err.Error(), Err: err}
	}
	return &Error{Code: CodeInternal, Message: err.Error(), Err: err}
}

func warehouseCode(c warehouse.Class) string {
	switch c {
	case warehouse.ClassTransient, warehouse.ClassUnreachable:
		return CodeUnreachable
	case warehouse.ClassCredentials:
		return CodeCredentials
	case warehouse.ClassSchema, warehouse.ClassConfig:
		return CodeConfig
	}
	return CodeWarehouseQuery
}

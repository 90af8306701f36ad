package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/checkpoint"
)

// retry sends the rows of certain keys again. It is a run that leaves the mark
// where it is; in full and mirror modes, too.
func (w *work) retry(ctx context.Context) error {
	if err := w.mappingChanged(ctx); err != nil {
		return err
	}
	left, err := w.unfinished(ctx, checkpoint.Range)
	if err != nil {
		return err
	}
	for _, run := range left {
		if err := w.clear(ctx, run, "rejects were retried"); err != nil {
			return err
		}
	}
	return w.begin(ctx, checkpoint.Range, &checkpoint.Window{})
}

// keysAtOnce is how many rows are asked for by key in one statement. A warehouse
// that scans a table for every statement scans it once for so many; and a statement
// may only have so many arguments.
const keysAtOnce = 200

// byKeys reads the rows of keys as they are now. They have no order, and so no
// position.
type byKeys struct {
	driver warehouse.Driver
	schema *warehouse.Schema
	spec   warehouse.ReadSpec
	keys   []json.RawMessage // {"id":1}, still to be asked for
	gone   int               // keys without a row

	reader  *warehouse.Reader // of the keys that were asked for last; nil: none
	missing int               // of them
}

func (s *byKeys) Next(ctx context.Context, b *warehouse.Batch) error {
	for {
		if s.reader == nil {
			if err := s.ask(); err != nil {
				return err
			}
			if s.reader == nil {
				return io.EOF
			}
		}
		err := s.reader.Next(ctx, b)
		if err == nil {
			b.Position = nil
			s.missing -= b.Len()
			return nil
		}
		s.gone += max(0, s.missing) // rows that share a key hide one that is gone
		s.close()
		if err != io.EOF {
			return err
		}
	}
}

// ask makes a reader of the next keys; none are left when there is no reader.
func (s *byKeys) ask() error {
	spec := s.spec
	spec.InOrder = false
	for len(s.keys) > 0 && len(spec.AnyOf) < keysAtOnce {
		where, err := conditions(s.keys[0])
		if err != nil {
			return fmt.Errorf("row %s: %w", s.keys[0], err)
		}
		s.keys = s.keys[1:]
		if where == nil {
			s.gone++
			continue
		}
		spec.AnyOf = append(spec.AnyOf, where)
	}
	if len(spec.AnyOf) == 0 {
		return nil
	}
	var err error
	s.reader, err = warehouse.NewReader(s.driver, s.schema, spec)
	s.missing = len(spec.AnyOf)
	return err
}

func (s *byKeys) close() {
	if s.reader != nil {
		_ = s.reader.Close() // what was read has been read
		s.reader = nil
	}
}

// conditions are what a row of a key looks like; nil where a part of it is NULL,
// since then it is no key.
func conditions(key json.RawMessage) (map[string]string, error) {
	in := json.NewDecoder(bytes.NewReader(key))
	in.UseNumber()
	var parts map[string]any
	if err := in.Decode(&parts); err != nil {
		return nil, err
	}
	where := map[string]string{}
	for column, value := range parts {
		if value == nil {
			return nil, nil
		}
		where[column] = fmt.Sprint(value)
	}
	return where, nil
}

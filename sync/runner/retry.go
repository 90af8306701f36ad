package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// byKeys reads the rows of keys, one after the other, as they are now. They have
// no order, and so no position.
type byKeys struct {
	driver warehouse.Driver
	schema *warehouse.Schema
	spec   warehouse.ReadSpec
	keys   []json.RawMessage // {"id":1}
	gone   int               // keys without a row
}

func (s *byKeys) Next(ctx context.Context, b *warehouse.Batch) error {
	for len(s.keys) > 0 {
		key := s.keys[0]
		s.keys = s.keys[1:]
		found, err := s.read(ctx, key, b)
		if err != nil {
			return fmt.Errorf("row %s: %w", key, err)
		}
		if found {
			return nil
		}
		s.gone++
	}
	return io.EOF
}

func (s *byKeys) read(ctx context.Context, key json.RawMessage, b *warehouse.Batch) (found bool, err error) {
	spec := s.spec
	if spec.Where, err = conditions(key); err != nil || spec.Where == nil {
		return false, err
	}
	r, err := warehouse.NewReader(s.driver, s.schema, spec)
	if err != nil {
		return false, err
	}
	defer r.Close()
	err = r.Next(ctx, b)
	b.Position = nil
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
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

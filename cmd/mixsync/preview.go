package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/sync/runner"
)

type previewOptions struct {
	sync    string
	project string
	n       int
	keys    []string
}

func (a *app) previewCommand() *cobra.Command {
	var o previewOptions
	cmd := &cobra.Command{
		Use: "preview SYNC", Short: "Print the first records as they would be sent", Args: oneArg("the name of a sync"), ValidArgsFunction: a.completeSyncs,
		Long: `Print the first records of a sync exactly as they would be sent, but for the
project token of profile records, which is shown as ***. Nothing is sent and no
mark is moved.`,
		Example: "  mixsync preview usage -n 5\n  mixsync preview usage --key id=42 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sync = args[0]
			return a.preview(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&o.n, "number", "n", 5, "how many records")
	f.StringArrayVar(&o.keys, "key", nil, "only the row where column `k=v`; repeat for a key of several columns")
	f.StringVar(&o.project, "project", "", "for which of the sync's projects; the first unless set")
	return cmd
}

// previewRow is a record, or the reject that the row would become, in JSON.
type previewRow struct {
	Key       json.RawMessage `json:"key"`
	DerivedID string          `json:"derived_id,omitempty"`
	Record    json.RawMessage `json:"record,omitempty"`
	Unset     json.RawMessage `json:"second_record,omitempty"`
	Code      string          `json:"code,omitempty"`
	Field     string          `json:"field,omitempty"`
	Message   string          `json:"message,omitempty"`
}

func (a *app) preview(ctx context.Context, o previewOptions) error {
	if o.n < 1 {
		return usageError("-n is a number of records, not %d", o.n)
	}
	where := map[string]string{}
	for _, k := range o.keys {
		column, value, ok := strings.Cut(k, "=")
		if !ok || column == "" {
			return usageError("--key is written column=value, not %q", k)
		}
		where[column] = value
	}
	file, err := a.load(false)
	if err != nil {
		return err
	}
	s := find(file, o.sync)
	if s == nil {
		return unknownSync(file, o.sync)
	}
	project := s.Projects[0]
	if o.project != "" {
		project = o.project
	}
	p := file.Projects[project]
	if p == nil {
		return usageError("sync %q has no project %q", o.sync, project)
	}
	t := target{s, p}
	w := a.wiring(file)
	defer w.close()
	d, err := w.driver(ctx, s.Warehouse)
	if err != nil {
		return a.locate(file, t, a.explain(err))
	}
	samples, err := runner.Preview(ctx, d, runnerSync(t), o.n, where)
	if wh := (*warehouse.Error)(nil); len(where) > 0 && errors.As(err, &wh) && wh.Class == warehouse.ClassQuery {
		return withHint(usageError("--key: %v", err), "write a value of the column's type")
	}
	if err != nil {
		return a.locate(file, t, a.explain(err))
	}
	rows := []previewRow{}
	for _, x := range samples {
		row := previewRow{Key: x.Key, DerivedID: x.DerivedID, Record: mask(x.Record, p.Token.Reveal()), Unset: mask(x.More, p.Token.Reveal())}
		if x.Reject != nil {
			row.Code, row.Field, row.Message = x.Reject.Code, x.Reject.Field, x.Reject.Message
		}
		rows = append(rows, row)
	}
	if a.json() {
		a.printJSON(map[string]any{"command": a.command, "ok": true, "sync": s.Name, "project": p.Name, "records": rows})
		return nil
	}
	return a.printPreview(rows)
}

func (a *app) printPreview(rows []previewRow) error {
	if len(rows) == 0 {
		fmt.Fprintln(a.stderr, "no row matches")
	}
	for _, row := range rows {
		if row.Code != "" {
			fmt.Fprintf(a.stdout, "# key %s would be rejected: %s %s: %s\n", row.Key, row.Code, row.Field, row.Message)
			continue
		}
		fmt.Fprintf(a.stdout, "# key %s, derived id %s\n", row.Key, row.DerivedID)
		for _, record := range []json.RawMessage{row.Record, row.Unset} {
			if len(record) == 0 {
				continue
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, record, "", "  "); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, pretty.String())
		}
	}
	return nil
}

// mask hides the project token of a profile record.
func mask(record []byte, token string) []byte {
	if token == "" {
		return record
	}
	return bytes.Replace(record, []byte(`"$token":"`+token+`"`), []byte(`"$token":"***"`), 1)
}

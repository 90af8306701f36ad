package mapping_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

// A value that cannot be sent any more is outdated at Mixpanel, like NULL: under
// nulls: unset both remove it, and one after the other is no news.
func TestUnsetRemovesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	schema := &warehouse.Schema{Fields: []warehouse.Field{
		{Name: "id", Kind: warehouse.Text, Type: "text"}, {Name: "score", Kind: warehouse.Float, Type: "double precision"},
	}}
	plan, err := mapping.Compile(mapping.Spec{
		Sync: "s", Type: mapping.Group, Model: mapping.Hierarchical, Token: "t", GroupKey: "$company_id", Nulls: mapping.NullsUnset,
		PrimaryKey: []string{"id"}, Mapping: mapping.Mapping{CompanyID: &mapping.Source{Column: "id"}}, Location: time.UTC,
	}, schema)
	if err != nil {
		t.Fatal(err)
	}
	b := warehouse.NewBatch(schema)
	for _, v := range []*float64{new(1.5), new(math.NaN()), nil} {
		b.Cols[0].AppendText([]byte("acme"))
		if v == nil {
			b.Cols[1].AppendNull()
		} else {
			b.Cols[1].AppendFloat(*v)
		}
		b.EndRow()
	}
	var rows [3]mapping.Row
	for i := range rows {
		if _, rej := plan.Append(nil, b, i, &rows[i]); rej != nil {
			t.Fatal(rej.Message)
		}
	}
	if rows[0].More || !rows[1].More || !rows[2].More {
		t.Errorf("More = %t, %t, %t, want only those without a score", rows[0].More, rows[1].More, rows[2].More)
	}
	if rows[0].Sent == rows[1].Sent || rows[1].Sent != rows[2].Sent {
		t.Errorf("Sent = %x, %x, %x, want news, then none", rows[0].Sent, rows[1].Sent, rows[2].Sent)
	}
	if got := string(plan.AppendMore(nil, b, 1)); !strings.Contains(got, `"$unset":["score"]`) {
		t.Errorf("second record of NaN = %s", got)
	}
}

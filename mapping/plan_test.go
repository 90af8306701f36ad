package mapping_test

import (
	"testing"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping"
)

func TestAppendAllocatesNothing(t *testing.T) {
	for name, table := range map[string]func(testing.TB) (mapping.Spec, *warehouse.Batch){"event": wide, "group": people} {
		spec, batch := table(t)
		p := compile(t, spec, batch.Schema)
		dst := make([]byte, 0, 4096)
		var out mapping.Row
		row := 0
		got := testing.AllocsPerRun(batch.Len()-1, func() {
			p.Append(dst, batch, row, &out)
			row++
		})
		if got != 0 {
			t.Errorf("Append of a %s allocates %v times, want 0", name, got)
		}
	}
}

func TestSmoke(t *testing.T) {
	spec, schema := usage()
	b := batchOf(t, schema, usageRow())
	p := compile(t, spec, schema)
	var out mapping.Row
	dst, rej := p.Append(nil, b, 0, &out)
	t.Logf("%s %v %+v", dst, rej, out)
	t.Logf("%s %s %s", p.Key(b, 0, nil), p.Payload(b, 0, nil), p.Fingerprint())
	spec, b = people(t)
	p = compile(t, spec, b.Schema)
	dst, rej = p.Append(nil, b, 0, &out)
	t.Logf("%s %v %+v", dst, rej, out)
}

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

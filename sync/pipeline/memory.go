package pipeline

import "github.com/mixsync/mixsync/connectors/warehouse"

// Memory is the buffers of a pass, kept for the next: a sync read in slices would
// otherwise make them anew for each, and leave the old ones to the collector in
// the middle of its peak. The zero value is ready; one pass uses it at a time.
type Memory struct {
	schema   *warehouse.Schema // of batches
	batches  []*warehouse.Batch
	payloads []*payload
	largest  int // bytes of the largest payload so far
}

// lend gives what is kept to a pass, and makes the batches that are missing.
func (m *Memory) lend(p *pass) {
	if m.schema != p.Schema {
		m.schema, m.batches = p.Schema, nil
	}
	for range batches - len(m.batches) {
		m.batches = append(m.batches, warehouse.NewBatch(p.Schema))
	}
	for _, b := range m.batches {
		p.free <- b
	}
	for _, x := range m.payloads[:min(len(m.payloads), cap(p.spare))] {
		p.spare <- x
	}
	p.largest = m.largest
	m.batches, m.payloads = nil, nil
}

// reclaim takes back what a pass left, when all its goroutines have ended. What
// a failure left in someone's hands is the collector's.
func (m *Memory) reclaim(p *pass) {
	close(p.free)
	for b := range p.free {
		b.Reset() // what the driver lent goes back to it
		m.batches = append(m.batches, b)
	}
	close(p.spare)
	for x := range p.spare {
		m.payloads = append(m.payloads, x)
	}
	m.largest = p.largest
}

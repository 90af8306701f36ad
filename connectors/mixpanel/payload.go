package mixpanel

// Payload is the records of one request, encoded back to back.
//
// Every record is followed by one separator byte: a newline for events, a comma
// for profiles. A part of a payload is therefore a sub-slice, and splitting
// costs nothing.
type Payload struct {
	Endpoint Endpoint
	Body     []byte
	Ends     []int // Ends[i] is the offset in Body just after record i's separator
	// Packed, if set, is called by Send when the body has been compressed, or needs
	// no compressing: from then on it is the network that takes its time.
	Packed func()

	base int // offset in the original Body of Body[0]: Ends are never rewritten
}

// Len is the number of records.
func (p *Payload) Len() int { return len(p.Ends) }

// Record returns record i without its separator.
func (p *Payload) Record(i int) []byte {
	start := 0
	if i > 0 {
		start = p.Ends[i-1] - p.base
	}
	return p.Body[start : p.Ends[i]-p.base-1]
}

// Slice returns records [i, j) as a payload that shares the memory of p.
func (p *Payload) Slice(i, j int) *Payload {
	start := 0
	if i > 0 {
		start = p.Ends[i-1] - p.base
	}
	end := start
	if j > i {
		end = p.Ends[j-1] - p.base
	}
	return &Payload{Endpoint: p.Endpoint, Body: p.Body[start:end], Ends: p.Ends[i:j], base: p.base + start}
}

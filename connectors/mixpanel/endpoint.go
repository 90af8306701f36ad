package mixpanel

// Endpoint is one of the write paths of the ingestion API.
type Endpoint uint8

const (
	Events Endpoint = iota // POST /import: NDJSON, gzip, strict, deduplicated
	Groups                 // POST /groups: JSON array, no gzip
	Users                  // POST /engage: JSON array, no gzip
)

func (e Endpoint) String() string { return [...]string{"/import", "/groups", "/engage"}[e] }

// Separator is the byte that follows each record of the endpoint.
func (e Endpoint) Separator() byte {
	if e == Events {
		return '\n'
	}
	return ','
}

// Limits is how much one request may hold.
type Limits struct {
	Records int
	Bytes   int // of uncompressed body
	Record  int // bytes of one record
}

// Limits of the endpoint: what Mixpanel documents, less a margin where the
// documents disagree with each other.
func (e Endpoint) Limits() Limits {
	if e == Events {
		// "10 MB uncompressed" may mean 10,000,000; 2000 events.
		return Limits{Records: 2000, Bytes: 9_500_000, Record: 1_000_000}
	}
	// The body of profile requests has no documented limit: stay at 2 MB.
	return Limits{Records: 2000, Bytes: 2_000_000, Record: 1_000_000}
}

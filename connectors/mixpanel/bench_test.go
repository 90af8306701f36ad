package mixpanel

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
)

var discardLog = log.New(io.Discard, "", 0)

// BenchmarkSend sends 2,000 records of about 500 bytes to a server that discards
// them. The server's own work is in the figures.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"code":200,"num_records_imported":2000,"status":"OK"}`)
	}))
	defer server.Close()
	c := newClient(b, account(server.URL))
	for _, e := range []Endpoint{Events, Groups} {
		b.Run(e.String()[1:], func(b *testing.B) {
			p := &Payload{Endpoint: e}
			for i := range 2000 {
				p.Body = fmt.Appendf(p.Body, `{"event":"feature used","properties":{"$insert_id":"%032x","time":%d,"note":"%0400d"}}`,
					i*2654435761, 1767225600000+int64(i)*1371, i)
				p.Body = append(p.Body, e.Separator())
				p.Ends = append(p.Ends, len(p.Body))
			}
			b.SetBytes(int64(len(p.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if o := c.Send(b.Context(), p); o.Verdict != Settled {
					b.Fatalf("Send = %+v", o)
				}
			}
		})
	}
}

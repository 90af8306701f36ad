package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

const perRequest = 2000

// appendRequest appends the NDJSON of one full request: events of about 500
// bytes with 13 properties and ids as mixsync makes them.
func appendRequest(dst []byte, request int) []byte {
	for i := range perRequest {
		n := request*perRequest + i
		sum := sha256.Sum256(strconv.AppendInt(nil, int64(n), 10))
		dst = fmt.Appendf(dst, `{"event":"Feature Used","properties":{"time":%d,"distinct_id":"$company:acme-%d|$user:user-%d","$insert_id":"%s",`+
			`"$company_id":"acme-%d","$user_id":"user-%d","ip":0,"feature":"dashboard","plan":"enterprise","seats":%d,"amount":1234.5678,`+
			`"trial":false,"created":"2026-01-31T12:00:00.123456","note":"the quick brown fox jumps over the lazy dog, again and again, until it is tired",`+
			`"url":"https://app.example.com/projects/12345/boards/67890?tab=settings"}}`+"\n",
			now.UnixMilli()-int64(n), n%500, n%50_000, hex.EncodeToString(sum[:16]), n%500, n%50_000, n%1000)
	}
	return dst
}

// importer calls a server without a network between.
type importer struct {
	body *bytes.Reader
	r    *http.Request
}

func newImporter(b testing.TB, encoding string) *importer {
	im := &importer{body: bytes.NewReader(nil)}
	im.r = httptest.NewRequestWithContext(b.Context(), http.MethodPost, strict, nil)
	im.r.Body = io.NopCloser(im.body)
	im.r.Header.Set("Content-Type", asLines)
	im.r.Header.Set("Content-Encoding", encoding)
	im.r.SetBasicAuth("token", "")
	return im
}

func (im *importer) send(b testing.TB, s http.Handler, body []byte) {
	im.body.Reset(body)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, im.r)
	if w.Code != http.StatusOK {
		b.Fatalf("answer = %d %s", w.Code, w.Body)
	}
}

// BenchmarkImport is one request of 2000 events per iteration, gzipped.
func BenchmarkImport(b *testing.B) {
	for _, keysOnly := range []bool{true, false} {
		b.Run(fmt.Sprintf("keys=%v", keysOnly), func(b *testing.B) {
			// 50 different requests; a new server before they come round again.
			var bodies [50][]byte
			for i := range bodies {
				var zipped bytes.Buffer
				z, _ := gzip.NewWriterLevel(&zipped, 1)
				_, _ = z.Write(appendRequest(nil, i))
				_ = z.Close()
				bodies[i] = zipped.Bytes()
			}
			im := newImporter(b, "gzip")
			s := newServer(emulator.Options{KeysOnly: keysOnly})
			n := 0
			for b.Loop() {
				if n%len(bodies) == 0 {
					s.Reset()
				}
				im.send(b, s, bodies[n%len(bodies)])
				n++
			}
			b.ReportMetric(float64(n)*perRequest/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkKeysOnlyMemory sends one request of 2000 new events per iteration and
// reports what they leave behind: with -benchtime 5000x, ten million events.
func BenchmarkKeysOnlyMemory(b *testing.B) {
	s := newServer(emulator.Options{KeysOnly: true})
	im := newImporter(b, "")
	body := make([]byte, 0, 2<<20)
	before := liveHeap()
	for i := range b.N {
		body = appendRequest(body[:0], i)
		im.send(b, s, body)
	}
	events := b.N * perRequest
	if s.Count() != events {
		b.Fatalf("count = %d, want %d", s.Count(), events)
	}
	live := max(liveHeap(), before) - before
	defer runtime.KeepAlive(s)
	b.ReportMetric(float64(live)/float64(events), "B/event")
	b.ReportMetric(float64(live)/1e6, "live-MB")
	b.ReportMetric(float64(fromSystem())/1e6, "process-MB")
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func fromSystem() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

package emulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

const exportPath = "/api/2.0/export"

const (
	maxExport     = 100_000 // largest value of limit
	minExportGzip = 1400    // shorter bodies are not compressed
)

// exportFilter is what a raw export asks for.
type exportFilter struct {
	from, to int64 // epoch milliseconds; to is exclusive
	names    []string
	limit    int // 0 is none
	inMillis bool
}

// getExport serves the raw export: every event as stored, copies included, one
// a line, in the order of arrival.
func (s *Server) getExport(w http.ResponseWriter, r *http.Request) {
	q := s.begin(exportPath, r)
	if s.forestalled(w, q) {
		return
	}
	f, err := s.parseExport(r)
	switch {
	case !s.account(r):
		s.deliver(w, q, refuse(http.StatusUnauthorized, badLogin))
	case s.options.KeysOnly:
		s.deliver(w, q, refuse(http.StatusConflict, "keys-only mode keeps no events to export: see /emulator/keys"))
	case err != nil:
		s.deliver(w, q, refuse(http.StatusBadRequest, err.Error()))
	default:
		s.export(w, q, f)
	}
}

// parseExport reads the query of a raw export.
func (s *Server) parseExport(r *http.Request) (f exportFilter, err error) {
	query := r.URL.Query()
	from, err := exportDate(query.Get("from_date"), "from_date")
	if err != nil {
		return f, err
	}
	to, err := exportDate(query.Get("to_date"), "to_date")
	if err != nil {
		return f, err
	}
	f.from, f.to = from.UnixMilli(), to.AddDate(0, 0, 1).UnixMilli()
	switch {
	case to.Before(from):
		return f, errors.New("to_date cannot be before from_date")
	case to.After(s.options.Now().UTC()):
		return f, errors.New("to_date cannot be later than today")
	case query.Get("where") != "":
		return f, errors.New("where is not supported by the emulator: filter what it answers, or use event")
	}
	if text := query.Get("event"); text != "" {
		if json.Unmarshal([]byte(text), &f.names) != nil {
			return f, fmt.Errorf("event must be a JSON array of names, such as [%q]", "Signed Up")
		}
	}
	if text := query.Get("limit"); text != "" {
		if f.limit, err = strconv.Atoi(text); err != nil || f.limit < 1 || f.limit > maxExport {
			return f, fmt.Errorf("limit must be a number from 1 to %d", maxExport)
		}
	}
	if text := query.Get("time_in_ms"); text != "" {
		if f.inMillis, err = strconv.ParseBool(text); err != nil {
			return f, errors.New("time_in_ms must be true or false")
		}
	}
	return f, nil
}

func exportDate(text, name string) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("%s is missing", name)
	}
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return date, fmt.Errorf("%s must be a date in yyyy-mm-dd format", name)
	}
	return date, nil
}

// find returns the events of the raw log that the filter asks for.
func (f *exportFilter) find(log []entry) (found []*entry) {
	for i := range log {
		en := &log[i]
		if en.millis < f.from || en.millis >= f.to || len(f.names) > 0 && !slices.Contains(f.names, en.name()) {
			continue
		}
		if found = append(found, en); len(found) == f.limit {
			break
		}
	}
	return found
}

// export streams what the filter finds, or what the faults leave of it.
func (s *Server) export(w http.ResponseWriter, q *work, f exportFilter) {
	s.mu.Lock()
	log := s.events.log // grows, but what is in it never changes
	s.mu.Unlock()
	found := f.find(log)
	q.log.Records = len(found)

	delay, middle := s.options.Latency, time.Duration(0)
	var reset, cut bool
	for _, r := range q.hits {
		switch r.Kind {
		case FaultSlow:
			delay += time.Duration(r.DelayMS) * time.Millisecond
		case FaultSlowBody:
			middle += time.Duration(r.DelayMS) * time.Millisecond
		case FaultResetAfter:
			reset = true
		case FaultCut:
			cut = true
		case FaultTruncate:
			found = found[:len(found)/2]
		default:
			continue
		}
		s.fired(q, r.Kind)
	}
	ctx := q.http.Context()
	if answered := pause(ctx, delay); reset || !answered {
		s.finish(q, 0)
		abort(w)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Vary", "Accept-Encoding")
	body := &lateGzip{to: w, accepted: acceptsGzip(q.http)}
	lines := bufio.NewWriterSize(body, 64<<10)
	half := len(found) / 2
	err := f.write(lines, found[:half])
	if err == nil && (cut || middle > 0) {
		err = errors.Join(lines.Flush(), body.flush())
		_ = http.NewResponseController(w).Flush()
	}
	if cut || err != nil || !pause(ctx, middle) {
		s.finish(q, 0)
		abort(w)
		return
	}
	if err = f.write(lines, found[half:]); err != nil {
		s.finish(q, 0)
		return
	}
	q.log.Accepted = len(found)
	s.finish(q, http.StatusOK) // before the client can ask for it
	_ = lines.Flush()
	_ = body.close()
}

// write writes one line for each event.
func (f *exportFilter) write(lines *bufio.Writer, events []*entry) error {
	var line []byte
	for _, en := range events {
		line = appendLine(line[:0], en, f.inMillis)
		if _, err := lines.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// acceptsGzip tells whether the client wants its answer compressed.
func acceptsGzip(r *http.Request) bool {
	for _, coding := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(weight, "q="), 64)
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}

// lateGzip compresses what is written to it if the client accepts that and the
// first piece is long enough to be worth it.
type lateGzip struct {
	to       http.ResponseWriter
	accepted bool
	started  bool
	gz       *gzip.Writer
}

func (l *lateGzip) Write(p []byte) (int, error) {
	if !l.started && l.accepted && len(p) > minExportGzip {
		l.to.Header().Set("Content-Encoding", "gzip")
		l.gz = gzip.NewWriter(l.to)
	}
	l.started = true
	if l.gz != nil {
		return l.gz.Write(p)
	}
	return l.to.Write(p)
}

func (l *lateGzip) flush() error {
	if l.gz == nil {
		return nil
	}
	return l.gz.Flush()
}

func (l *lateGzip) close() error {
	if l.gz == nil {
		return nil
	}
	return l.gz.Close()
}

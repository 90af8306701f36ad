package emulator

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// endpoint is a line of the index.
type endpoint struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	About  string `json:"about"`
}

var endpoints = []endpoint{
	{"POST", "/import", "events, as Mixpanel's ingestion API"},
	{"POST", "/groups", "profiles of companies, users and other groups"},
	{"POST", "/engage", "profiles of users in a standard project"},
	{"GET", "/lookup-tables", "ids and names of lookup tables"},
	{"PUT", "/lookup-tables/{id}", "replace a lookup table: text/csv"},
	{"GET", "/api/2.0/export", "raw export; ?from_date= &to_date= &event=[] &limit= &time_in_ms="},
	{"GET", "/", "a page for people; this index as application/json or text/plain"},
	{"GET", "/emulator/state", "counts, limits, hot shards"},
	{"GET", "/emulator/events", "?limit= &offset= &distinct_id= &event= &insert_id="},
	{"GET", "/emulator/profiles", "?limit= &offset= &group_key= &id="},
	{"GET", "/emulator/keys", "$insert_ids of deduplicated events, sorted, one a line; ?of=profiles for profile ids"},
	{"GET", "/emulator/lookup-tables", "columns and numbers of rows"},
	{"GET", "/emulator/lookup-tables/{id}", "a lookup table as CSV"},
	{"GET", "/emulator/requests", "the latest requests"},
	{"GET", "/emulator/violations", "what Mixpanel would have taken silently"},
	{"GET", "/emulator/faults", "faults in force"},
	{"POST", "/emulator/faults", `{"seed":1,"rules":[{"kind":"throttle","every":5}]} replaces them; ?add=1 adds`},
	{"POST", "/emulator/reset", "forget everything"},
}

func (s *Server) routes() {
	s.mux.HandleFunc("POST /import", s.write("/import", s.serveImport))
	s.mux.HandleFunc("POST /groups", s.write("/groups", s.serveProfiles))
	s.mux.HandleFunc("POST /engage", s.write("/engage", s.serveEngage))
	s.mux.HandleFunc("PUT "+lookupPath+"/{id}", s.write(lookupPath, s.putLookup))
	s.mux.HandleFunc("GET "+lookupPath, s.listLookups)
	s.mux.HandleFunc("GET "+exportPath, s.getExport)
	s.mux.HandleFunc("GET /{$}", s.getRoot)
	s.mux.HandleFunc("GET /emulator/state", s.getState)
	s.mux.HandleFunc("GET /emulator/events", s.getEvents)
	s.mux.HandleFunc("GET /emulator/profiles", s.getProfiles)
	s.mux.HandleFunc("GET /emulator/keys", s.getKeys)
	s.mux.HandleFunc("GET /emulator/lookup-tables", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"tables": s.LookupTables()})
	})
	s.mux.HandleFunc("GET /emulator/lookup-tables/{id}", s.getLookup)
	s.mux.HandleFunc("GET /emulator/requests", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"requests": s.Requests()})
	})
	s.mux.HandleFunc("GET /emulator/violations", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"violations": s.Violations()})
	})
	s.mux.HandleFunc("GET /emulator/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, Faults{Rules: s.faults.list()})
	})
	s.mux.HandleFunc("POST /emulator/faults", s.postFaults)
	s.mux.HandleFunc("POST /emulator/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		writeJSON(w, http.StatusOK, map[string]any{"ok": true})
	})
}

// State is what GET /emulator/state shows.
type State struct {
	Model     string     `json:"model"`
	ProjectID int64      `json:"project_id"`
	KeysOnly  bool       `json:"keys_only"`
	Events    int        `json:"events"`     // deduplicated
	RawEvents int        `json:"raw_events"` // copies included
	Profiles  int        `json:"profiles"`
	Links     int        `json:"links"`         // devices linked to somebody
	Lookups   int        `json:"lookup_tables"` // registered or made by a PUT
	Counters  Counters   `json:"counters"`
	HotShards []HotShard `json:"hot_shards"`
	Limits    Limits     `json:"limits"`
}

// Limits are those in force.
type Limits struct {
	MaxBody    int       `json:"max_body"`
	MaxRecords int       `json:"max_records"`
	MaxRecord  int       `json:"max_record"`
	MaxDepth   int       `json:"max_depth"`
	RateLimit  RateLimit `json:"rate_limit"` // 0: none

	MaxLookupBody  int `json:"max_lookup_body"`
	MaxLookupCalls int `json:"max_lookup_calls"` // in 24 hours
}

// State sums the project up.
func (s *Server) State() State {
	o := &s.options
	st := State{
		Model: o.Model, ProjectID: o.ProjectID, KeysOnly: o.KeysOnly, Counters: s.Counters(), HotShards: s.HotShards(),
		Limits: Limits{o.MaxBody, o.MaxRecords, o.MaxRecord, o.MaxDepth, o.RateLimit, o.MaxLookupBody, o.MaxLookupCalls},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Events, st.RawEvents = s.events.unique(), s.events.raw
	st.Profiles, st.Links, st.Lookups = s.profiles.len(), len(s.events.links), len(s.lookups.byID)
	return st
}

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.State())
}

// getEvents answers {"total": matching, "events": [...]}, 100 unless limit says otherwise.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	if s.options.KeysOnly {
		writeError(w, http.StatusConflict, "keys-only mode keeps no events: see /emulator/keys")
		return
	}
	q := r.URL.Query()
	f := eventFilter{name: q.Get("event"), distinctID: q.Get("distinct_id"), insertID: q.Get("insert_id")}
	var err error
	if f.offset, f.limit, err = paging(r); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	page := s.filter(f)
	writeJSON(w, http.StatusOK, map[string]any{"total": page.total, "events": page.events})
}

// getProfiles answers {"total": matching, "profiles": [...]} in the order of ids.
func (s *Server) getProfiles(w http.ResponseWriter, r *http.Request) {
	if s.options.KeysOnly {
		writeError(w, http.StatusConflict, "keys-only mode keeps no profiles: see /emulator/keys?of=profiles")
		return
	}
	offset, limit, err := paging(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	key, id := r.URL.Query().Get("group_key"), r.URL.Query().Get("id")
	all := s.Profiles()
	total, list := 0, []Profile{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		if key != "" && key != p.GroupKey || id != "" && id != p.ID && id != p.GroupID {
			continue
		}
		if total++; total > offset && len(list) < limit {
			list = append(list, p)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"total": total, "profiles": list})
}

// getKeys streams ids, one a line.
func (s *Server) getKeys(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := bufio.NewWriterSize(w, 64<<10)
	defer out.Flush()
	switch of := r.URL.Query().Get("of"); of {
	case "", "events":
		s.eachInsertID(func(id []byte) bool {
			_, _ = out.Write(id)
			return out.WriteByte('\n') == nil
		})
	case "profiles":
		for _, id := range s.ProfileIDs() {
			_, _ = out.WriteString(id)
			if out.WriteByte('\n') != nil {
				return
			}
		}
	default:
		writeError(w, http.StatusBadRequest, fmt.Sprintf("of=%s: want events or profiles", of))
	}
}

func (s *Server) postFaults(w http.ResponseWriter, r *http.Request) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	var f Faults
	err := d.Decode(&f)
	if err == nil {
		err = s.faults.set(f, r.URL.Query().Get("add") == "1")
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), "json: "))
		return
	}
	writeJSON(w, http.StatusOK, Faults{Rules: s.faults.list()})
}

func paging(r *http.Request) (offset, limit int, err error) {
	limit = 100
	for _, p := range []struct {
		name string
		to   *int
	}{{"offset", &offset}, {"limit", &limit}} {
		text := r.URL.Query().Get(p.name)
		if text == "" {
			continue
		}
		if *p.to, err = strconv.Atoi(text); err != nil || *p.to < 0 {
			return 0, 0, fmt.Errorf("%s=%q: want a number, 0 or more", p.name, text)
		}
	}
	return offset, limit, nil
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"ok": false, "error": message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(body)
}

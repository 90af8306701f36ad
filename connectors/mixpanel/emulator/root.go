package emulator

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
)

// getRoot serves the page, or the index of endpoints to those who ask for JSON
// or plain text.
func (s *Server) getRoot(w http.ResponseWriter, r *http.Request) {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case strings.Contains(accept, "text/html"):
		s.getPage(w, r)
	case strings.Contains(accept, "application/json"):
		writeJSON(w, http.StatusOK, map[string]any{"name": "mixsync emulator", "endpoints": endpoints})
	case strings.Contains(accept, "text/plain"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, "mixsync emulator: a local Mixpanel\n\n")
		lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, e := range endpoints {
			_, _ = fmt.Fprintf(lines, "%s\t%s\t%s\n", e.Method, e.Path, e.About)
		}
		_ = lines.Flush()
	default:
		s.getPage(w, r)
	}
}

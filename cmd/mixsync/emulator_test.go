package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The lookup tables that exist and how often they may be replaced are flags.
func TestEmulatorLookupFlags(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		getenv := func(string) (string, bool) { return "", false }
		ended <- run(ctx, []string{"emulator", "--listen", "127.0.0.1:0", "--lookup-table", "t1=Plans", "--max-lookup-calls", "1", "-o", "json"},
			strings.NewReader(""), in, io.Discard, getenv)
	}()
	var started struct{ URL string }
	if err := json.NewDecoder(out).Decode(&started); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	}()
	put := func(table string) int {
		body := bytes.NewBufferString("plan,title\np1,Free\n")
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, started.URL+"/lookup-tables/"+table+"?project_id=1", body)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("user", "secret")
		r.Header.Set("Content-Type", "text/csv")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if got := put("t1"); got != http.StatusOK {
		t.Errorf("PUT of the table that exists = %d, want 200", got)
	}
	if got := put("t1"); got != http.StatusTooManyRequests {
		t.Errorf("second PUT = %d, want 429", got)
	}
	list, err := http.Get(started.URL + "/emulator/lookup-tables") //nolint:noctx // the emulator ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer list.Body.Close()
	if text, err := io.ReadAll(list.Body); err != nil || !strings.Contains(string(text), "Plans") {
		t.Errorf("the tables are %s (%v), want Plans among them", text, err)
	}
}

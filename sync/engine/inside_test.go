package engine

import "testing"

// Every wait for a lock ends, as the URL says or else by itself.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u@h/db":                    "30s",
		"postgres://u@h/db?lock_timeout=200ms": "200ms",
	} {
		config, err := poolConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := config.ConnConfig.RuntimeParams["lock_timeout"]; got != want {
			t.Errorf("%s: lock_timeout = %q, want %q", url, got, want)
		}
	}
}

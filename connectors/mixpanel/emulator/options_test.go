package emulator_test

import (
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

func TestOptionsValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options emulator.Options
		want    string
	}{
		{"zero", emulator.Options{}, ""},
		{"model", emulator.Options{Model: "flat"}, `unknown model "flat": want "hierarchical" or "standard"`},
		{"status", emulator.Options{TooManyStatus: 500}, "status for too many records is 500: want 413 or 400"},
		{"half an account", emulator.Options{Username: "u"}, "a service account needs both username and secret"},
		{"several", emulator.Options{MaxBody: -1, Latency: -1}, "max body is negative\nlatency is negative"},
		{
			"fault", emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultSlow}}}},
			"fault rule 0: slow needs delay_ms",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := tt.options.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate() = %q, want %q", got, tt.want)
			}
		})
	}
}

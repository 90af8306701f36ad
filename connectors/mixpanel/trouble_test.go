package mixpanel_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mixsync/mixsync/connectors/mixpanel"
	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// deliver does what a pipeline does with verdicts, without patience, and
// collects the keys of refused records.
func deliver(ctx context.Context, t *testing.T, c *mixpanel.Client, p *mixpanel.Payload, keys []string, seen map[mixpanel.Verdict]bool) (refused []string) {
	t.Helper()
	for range 100 {
		o := c.Send(ctx, p)
		seen[o.Verdict] = true
		switch o.Verdict {
		case mixpanel.Settled:
			if o.Accepted+len(o.Refused) != p.Len() {
				t.Errorf("%d accepted and %d refused of %d", o.Accepted, len(o.Refused), p.Len())
			}
			for _, r := range o.Refused {
				refused = append(refused, keys[r.Index])
			}
			return refused
		case mixpanel.Split, mixpanel.Bisect:
			half := p.Len() / 2
			refused = deliver(ctx, t, c, p.Slice(0, half), keys[:half], seen)
			return append(refused, deliver(ctx, t, c, p.Slice(half, p.Len()), keys[half:], seen)...)
		case mixpanel.Halt:
			t.Fatalf("Send = %+v", o)
		}
	}
	t.Fatal("sent 100 times, settled never")
	return nil
}

// Whatever the server does, what it holds in the end is what was good, and what
// is reported as refused is what was bad.
func TestThroughTrouble(t *testing.T) {
	t.Parallel()
	const batches, size = 20, 40
	troubles := map[string]struct {
		verdict mixpanel.Verdict // met on the way
		rules   []emulator.Rule
	}{
		"none":            {mixpanel.Settled, nil},
		"all or nothing":  {mixpanel.Settled, nil},
		"throttled":       {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultThrottle, Every: 3, Burst: 2}}},
		"unwell":          {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultStatus, Status: 502, Probability: 0.3}}},
		"reset before":    {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultResetBefore, Probability: 0.3}}},
		"reset after":     {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultResetAfter, Probability: 0.3}}},
		"cut":             {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultCut, Probability: 0.3}}},
		"truncated":       {mixpanel.Retry, []emulator.Rule{{Kind: emulator.FaultTruncate, Probability: 0.3}}},
		"too large":       {mixpanel.Split, []emulator.Rule{{Kind: emulator.FaultTooLarge, Limit: 1500}}},
		"whole batches":   {mixpanel.Bisect, []emulator.Rule{{Kind: emulator.FaultRefuseBatch, Every: 7, Next: 3, Message: "not now"}}},
		"does not add up": {mixpanel.Unclear, []emulator.Rule{{Kind: emulator.FaultMiscount, Every: 2}}},
		"all of it": {mixpanel.Retry, []emulator.Rule{
			{Kind: emulator.FaultThrottle, Probability: 0.1}, {Kind: emulator.FaultStatus, Probability: 0.1},
			{Kind: emulator.FaultResetAfter, Probability: 0.1}, {Kind: emulator.FaultTruncate, Probability: 0.1},
			{Kind: emulator.FaultCut, Probability: 0.1}, {Kind: emulator.FaultTooLarge, Limit: 2500},
		}},
	}
	for name, trouble := range troubles {
		for _, e := range []mixpanel.Endpoint{mixpanel.Events, mixpanel.Groups} {
			t.Run(name+e.String(), func(t *testing.T) {
				t.Parallel()
				server := emulator.Start(t, emulator.Options{
					ProjectID: 7, Token: "project-token", Username: "sa", Secret: "hush hush",
					AtomicProfiles: name == "all or nothing", // whether Mixpanel is so, nobody says
				})
				// A record is bad by a property, so that its refusal is stable.
				rules := append(slices.Clone(trouble.rules), emulator.Rule{Kind: emulator.FaultRefuse, Property: "kind", Value: "bad", Message: "bad kind"})
				if err := server.SetFaults(emulator.Faults{Seed: 1, Rules: rules}); err != nil {
					t.Fatal(err)
				}
				c, err := mixpanel.New(mixpanel.Options{
					BaseURL: server.URL, ProjectID: 7, Token: "project-token", Username: "sa", Secret: "hush hush",
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()

				var want, wantRefused, refused []string
				seen := map[mixpanel.Verdict]bool{}
				now := time.Now().UnixMilli()
				for b := range batches {
					p := &mixpanel.Payload{Endpoint: e}
					var keys []string
					for i := range size {
						id, kind := fmt.Sprintf("r-%02d-%02d", b, i), "good"
						if (b*size+i)%61 == 7 {
							kind = "bad"
						}
						key := id
						if e == mixpanel.Events {
							p.Body = fmt.Appendf(p.Body, `{"event":"e","properties":{"time":%d,"distinct_id":"$company:c|$user:u","$company_id":"c","$user_id":"u","$insert_id":%q,"kind":%q}}`, now, id, kind)
						} else {
							key = "$company:" + id
							p.Body = fmt.Appendf(p.Body, `{"$token":"project-token","$group_key":"$company_id","$group_id":%q,"$company_id":%q,"$set":{"kind":%q}}`, id, id, kind)
						}
						p.Body = append(p.Body, e.Separator())
						p.Ends = append(p.Ends, len(p.Body))
						keys = append(keys, key)
						if kind == "bad" {
							wantRefused = append(wantRefused, key)
						} else {
							want = append(want, key)
						}
					}
					refused = append(refused, deliver(t.Context(), t, c, p, keys, seen)...)
				}
				if !seen[trouble.verdict] {
					t.Errorf("verdicts were %v, want %v among them", seen, trouble.verdict)
				}
				stored := server.InsertIDs()
				if e == mixpanel.Groups {
					stored = server.ProfileIDs()
				}
				slices.Sort(want)
				slices.Sort(stored)
				if diff := cmp.Diff(want, stored); diff != "" {
					t.Errorf("stored (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(wantRefused, refused); diff != "" {
					t.Errorf("refused (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestProbeEmulator(t *testing.T) {
	t.Parallel()
	server := emulator.Start(t, emulator.Options{ProjectID: 7, Token: "project-token", Username: "sa", Secret: "hush hush"})
	right := mixpanel.Options{BaseURL: server.URL, ProjectID: 7, Token: "project-token", Username: "sa", Secret: "hush hush"}
	tests := []struct {
		name              string
		edit              func(*mixpanel.Options)
		account, tokenErr bool
	}{
		{"right", func(*mixpanel.Options) {}, false, false},
		{"token only", func(o *mixpanel.Options) { o.Username, o.Secret = "", "" }, false, false},
		{"wrong secret", func(o *mixpanel.Options) { o.Secret = "loud loud" }, true, false},
		{"wrong project", func(o *mixpanel.Options) { o.ProjectID = 8 }, true, false},
		{"wrong token", func(o *mixpanel.Options) { o.Token = "another-token" }, false, true},
	}
	for _, tt := range tests {
		o := right
		tt.edit(&o)
		c, err := mixpanel.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Probe(t.Context()); (err != nil) != tt.account {
			t.Errorf("%s: Probe = %v, want error: %v", tt.name, err, tt.account)
		}
		if err := c.ProbeToken(t.Context()); (err != nil) != tt.tokenErr {
			t.Errorf("%s: ProbeToken = %v, want error: %v", tt.name, err, tt.tokenErr)
		}
		c.Close()
	}
	if n := server.RawCount(); n != 0 {
		t.Errorf("probing stored %d events", n)
	}
}

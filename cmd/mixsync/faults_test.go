package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// Trouble that passes: in the end every row is there once and the counts are
// those of a run without trouble.
func TestTroubleThatPasses(t *testing.T) {
	t.Parallel()
	const n = 20_000
	html := func(status, every int) emulator.Rule {
		return emulator.Rule{Kind: emulator.FaultStatus, Status: status, Every: every}
	}
	tests := map[string]struct {
		rules []emulator.Rule
		quiet bool // no retry is needed
	}{
		"429 storm":            {rules: []emulator.Rule{{Kind: emulator.FaultThrottle, Next: 30, Burst: 15, Every: 3}}},
		"429 half of the time": {rules: []emulator.Rule{{Kind: emulator.FaultThrottle, Probability: .5}}},
		"500 with HTML":        {rules: []emulator.Rule{html(500, 3)}},
		"502 with HTML":        {rules: []emulator.Rule{html(502, 2)}},
		"503 with HTML":        {rules: []emulator.Rule{html(503, 2)}},
		"503 for a while":      {rules: []emulator.Rule{{Kind: emulator.FaultStatus, After: 3, Next: 20}}},
		"reset before":         {rules: []emulator.Rule{{Kind: emulator.FaultResetBefore, Every: 3}}},
		"reset after":          {rules: []emulator.Rule{{Kind: emulator.FaultResetAfter, Every: 3}}},
		"answer cut":           {rules: []emulator.Rule{{Kind: emulator.FaultCut, Every: 2}}},
		"answer truncated":     {rules: []emulator.Rule{{Kind: emulator.FaultTruncate, Every: 3}}},
		"batch refused":        {rules: []emulator.Rule{{Kind: emulator.FaultRefuseBatch, Next: 6, Message: "Some event is bad"}}, quiet: true},
		"miscounted once":      {rules: []emulator.Rule{{Kind: emulator.FaultMiscount, Next: 1}}},
		"lost one":             {rules: []emulator.Rule{{Kind: emulator.FaultMiscount, Next: 1, Lose: true, By: 3}}},
		"all at once": {rules: []emulator.Rule{
			{Kind: emulator.FaultThrottle, Probability: .1}, {Kind: emulator.FaultStatus, Status: 502, Probability: .1},
			{Kind: emulator.FaultResetBefore, Probability: .1}, {Kind: emulator.FaultResetAfter, Probability: .1},
			{Kind: emulator.FaultTruncate, Probability: .1}, {Kind: emulator.FaultCut, Probability: .1},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulator.Options{KeysOnly: true, Faults: emulator.Faults{Seed: 7, Rules: tt.rules}})
			w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
			w.configure(usageSync("lookback: 10m"))
			r := w.sends("usage", n)
			if r.Rows != n || r.Accepted != n || r.Rejected != 0 || r.Status != "succeeded" {
				t.Errorf("report: %+v", r)
			}
			if tt.quiet != (r.Retries == 0) {
				t.Errorf("%d retries", r.Retries)
			}
			requests := 0
			for _, count := range w.mp.Counters().Statuses {
				requests += count
			}
			if r.Requests < requests {
				t.Errorf("the report counts %d requests, Mixpanel saw %d", r.Requests, requests)
			}
			w.holds(usageKeys)
			w.quickly()
			w.sends("usage", 0)
		})
	}
}

// The same for profiles, whose writes must also end in the right order.
func TestTroubleWithProfiles(t *testing.T) {
	t.Parallel()
	tests := map[string]emulator.Rule{
		"429":              {Kind: emulator.FaultThrottle, Probability: .3},
		"503 with HTML":    {Kind: emulator.FaultStatus, Every: 3},
		"reset after":      {Kind: emulator.FaultResetAfter, Every: 3},
		"answer truncated": {Kind: emulator.FaultTruncate, Every: 3},
		"batch refused":    {Kind: emulator.FaultRefuseBatch, Next: 3, Message: "Some profile is bad"},
		"miscounted once":  {Kind: emulator.FaultMiscount, Next: 1},
	}
	for name, rule := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 10_000
			w := newWorld(t, emulator.Options{Faults: emulator.Faults{Seed: 7, Rules: []emulator.Rule{rule}}})
			w.accounts(n)
			w.configure(accountsSync)
			if r := w.sends("accounts", n); r.Accepted != n || r.Rejected != 0 {
				t.Errorf("report: %+v", r)
			}
			w.exec(`UPDATE crm.accounts SET plan = 'B', updated_at = updated_at + interval '1 minute'`)
			if r := w.sends("accounts", n); r.Accepted != n {
				t.Errorf("report of the change: %+v", r)
			}
			sameKeys(t, "profiles", w.mp.ProfileIDs(), w.keys(`SELECT '$company:' || account_id FROM crm.accounts`))
			for id, p := range w.mp.Profiles() {
				if p.Properties["plan"] != "B" {
					t.Fatalf("%s is left with plan %v", id, p.Properties["plan"])
				}
			}
			if v := w.mp.Violations(); len(v) > 0 {
				t.Errorf("%d violations, such as %+v", len(v), v[0])
			}
		})
	}
}

// Mixpanel names the rows that it refuses, in either of its shapes.
func TestRowsThatMixpanelRefuses(t *testing.T) {
	t.Parallel()
	for name, dollar := range map[string]bool{"insert_id": false, "$insert_id": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 5000
			w := newWorld(t, emulator.Options{DollarInsertID: dollar, Faults: emulator.Faults{Rules: []emulator.Rule{
				{Kind: emulator.FaultRefuse, IDs: []string{"17", "2000", "4999"}, Field: "properties.feature", Message: "feature is not to be had"},
			}}})
			w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
			w.configure(usageSync("lookback: 10m"))
			r := w.sends("usage", n)
			if r.Rows != n || r.Accepted != n-3 || r.Rejected != 3 || r.Retries != 0 || r.Status != "partial" || r.Mark.After == nil {
				t.Errorf("report: %+v", r)
			}
			diff(t, "by code", r.RejectCounts, map[string]int64{"refused_by_mixpanel": 3})
			diff(t, "rejects", w.rejects(), map[string]string{
				`{"id":17}`: "refused_by_mixpanel", `{"id":2000}`: "refused_by_mixpanel", `{"id":4999}`: "refused_by_mixpanel",
			})
			w.holds(usageKeys + ` WHERE id NOT IN (17, 2000, 4999)`)
			w.sends("usage", 0) // filed: not tried again by itself
		})
	}
	t.Run("profiles", func(t *testing.T) {
		t.Parallel()
		const n = 5000
		w := newWorld(t, emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{
			{Kind: emulator.FaultRefuse, IDs: []string{"$company:c17", "$company:c4999"}, Message: "no"},
		}}})
		w.accounts(n)
		w.configure(accountsSync)
		r := w.sends("accounts", n)
		if r.Accepted != n-2 || r.Rejected != 2 || r.Status != "partial" {
			t.Errorf("report: %+v", r)
		}
		diff(t, "rejects", w.rejects(), map[string]string{`{"account_id":"c17"}`: "refused_by_mixpanel", `{"account_id":"c4999"}`: "refused_by_mixpanel"})
		sameKeys(t, "profiles", w.mp.ProfileIDs(), w.keys(`SELECT '$company:' || account_id FROM crm.accounts WHERE account_id NOT IN ('c17', 'c4999')`))
	})
}

func TestTooLargeIsSplit(t *testing.T) {
	t.Parallel()
	const n = 4000
	w := newWorld(t, emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultTooLarge}}}})
	w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.exec(`ALTER TABLE app.usage ADD COLUMN words jsonb;
		UPDATE app.usage SET words = (SELECT jsonb_agg(md5(id::text || i)) FROM generate_series(1, 80) AS i)`)
	w.configure(usageSync("lookback: 10m"))
	r := w.sends("usage", n)
	if r.Accepted != n || r.Rejected != 0 || r.Retries != 0 {
		t.Errorf("report: %+v", r)
	}
	if w.mp.Counters().Statuses["413"] == 0 {
		t.Error("no request was too large")
	}
	w.holds(usageKeys)
}

// An answer that never adds up ends the run, with the mark before the batch.
func TestAnswersThatNeverAddUp(t *testing.T) {
	t.Parallel()
	const n = 6000
	w := newWorld(t, emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultMiscount}}}})
	w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	r := w.fails(1, "mixpanel_refused", "usage")
	if r.Mark.After != nil || r.Accepted != 0 || !strings.Contains(r.Error.Message, "add up") || r.Error.Hint == "" {
		t.Errorf("report: %+v, %+v", r, r.Error)
	}
	w.quickly()
	if r := w.sync("usage"); r.Accepted != n || !r.Resumed {
		t.Errorf("the next run: %+v", r)
	}
	w.holds(usageKeys)
}

// An outage that does not pass ends the run; what was stored is kept, and the
// next run brings the rest.
func TestOutageEndsTheRun(t *testing.T) {
	t.Parallel()
	const n = 20_000
	w := newWorld(t, emulator.Options{KeysOnly: true})
	w.tuning = "    concurrency: 1\n"
	w.usage(n, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	if err := w.mp.SetFaults(emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultStatus, Status: http.StatusBadGateway, After: 5}}}); err != nil {
		t.Fatal(err)
	}
	first := w.fails(3, "unreachable", "usage")
	if first.Mark.After != nil {
		t.Errorf("the mark moved: %+v", first)
	}
	w.quickly()
	second := w.sync("usage")
	if first.Accepted+second.Accepted != n || !second.Resumed {
		t.Errorf("%d events, then %d, of %d: %+v", first.Accepted, second.Accepted, n, second)
	}
	w.holds(usageKeys)
}

// Refused credentials end the run at once.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulator.Options{Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultUnauthorized}}}})
	w.usage(10, "now() - interval '1 hour'", "interval '1 millisecond'")
	w.configure(usageSync("lookback: 10m"))
	if r := w.fails(3, "credentials", "usage"); r.Requests != 1 || r.Error.Hint == "" || r.Mark.After != nil {
		t.Errorf("report: %+v, %+v", r, r.Error)
	}
	if w.received() != 0 {
		t.Error("events were stored")
	}
	w.quickly()
	w.sends("usage", 10)
}

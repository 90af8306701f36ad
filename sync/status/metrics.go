// Package status shows how syncs are doing to Prometheus. Labels are the names
// of syncs and projects, and words of ours: their number is bounded by the
// configuration.
package status

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Attempt is what one attempt at a run came to in this process.
type Attempt struct {
	Sync, Project, Status                   string
	Accepted, Rejected, Held, Unchanged     int64 // rows
	Requests, Retries, BytesJSON, BytesWire int64
	Took                                    time.Duration
}

// Target is how a sync to a project is doing, as the state knows it.
type Target struct {
	Sync, Project string
	Mark          *time.Time // nil: none, or the cursor is no time
	OpenRejects   int64
	LastRun       string     // its status, "" before the first
	LastGood      *time.Time // begin of the last run that went well
	Next          *time.Time // tick of its schedule
}

// Metrics are counters of what this process has done, and a look at the state at
// every scrape.
type Metrics struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	rows     *prometheus.CounterVec
	requests *prometheus.CounterVec
	retries  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	reload   prometheus.Gauge
	reloads  *prometheus.CounterVec
}

var target = []string{"sync", "project"}

// New makes metrics that ask look for the targets and leader for whether this
// process keeps the schedules.
func New(version string, look func(context.Context) ([]Target, error), leader func(context.Context) (bool, error)) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "mixsync", Name: name, Help: help}, append(target[:2:2], labels...))
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs:     counter("attempts_total", "Attempts at runs by this process, by how they ended.", "status"),
		rows:     counter("rows_total", "Rows read by this process, by what became of them.", "fate"),
		requests: counter("requests_total", "Requests to Mixpanel."),
		retries:  counter("retries_total", "Requests to Mixpanel that had to be repeated."),
		bytes:    counter("sent_bytes_total", "Bytes sent to Mixpanel: json before, wire after compression.", "form"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "mixsync", Name: "attempt_seconds", Help: "How long attempts at runs took.",
			Buckets: []float64{.1, .3, 1, 3, 10, 30, 60}}, target),
		reload:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "mixsync", Name: "config_reload_failed", Help: "1 while the configuration on disk cannot be used and an older one is."}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "mixsync", Name: "config_reloads_total", Help: "Times the configuration was read anew."}, []string{"outcome"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "mixsync", Name: "build_info", Help: "Always 1; the version is in the label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.runs, m.rows, m.requests, m.retries, m.bytes, m.seconds, m.reload, m.reloads, build, &view{look: look, leader: leader},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Add counts an attempt.
func (m *Metrics) Add(a Attempt) {
	m.runs.WithLabelValues(a.Sync, a.Project, a.Status).Inc()
	for fate, n := range map[string]int64{"accepted": a.Accepted, "rejected": a.Rejected, "held": a.Held, "unchanged": a.Unchanged} {
		m.rows.WithLabelValues(a.Sync, a.Project, fate).Add(float64(n))
	}
	m.requests.WithLabelValues(a.Sync, a.Project).Add(float64(a.Requests))
	m.retries.WithLabelValues(a.Sync, a.Project).Add(float64(a.Retries))
	m.bytes.WithLabelValues(a.Sync, a.Project, "json").Add(float64(a.BytesJSON))
	m.bytes.WithLabelValues(a.Sync, a.Project, "wire").Add(float64(a.BytesWire))
	m.seconds.WithLabelValues(a.Sync, a.Project).Observe(a.Took.Seconds())
}

// Reloaded notes that the configuration was read anew, or could not be.
func (m *Metrics) Reloaded(ok bool) {
	if ok {
		m.reload.Set(0)
		m.reloads.WithLabelValues("succeeded").Inc()
		return
	}
	m.reload.Set(1)
	m.reloads.WithLabelValues("failed").Inc()
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: scrapeTime})
}

const scrapeTime = 10 * time.Second

// view collects what the state knows when it is asked.
type view struct {
	look   func(context.Context) ([]Target, error)
	leader func(context.Context) (bool, error)
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mixsync_"+name, help, labels, nil)
}

var (
	markDesc    = describe("mark_timestamp_seconds", "The high-water mark, where the cursor is a time.", target...)
	lagDesc     = describe("mark_lag_seconds", "How old the high-water mark is, where the cursor is a time.", target...)
	rejectsDesc = describe("open_rejects", "Rows that could not be sent and wait in the reject ledger.", target...)
	goodDesc    = describe("last_success_timestamp_seconds", "When the last run that went well began.", target...)
	nextDesc    = describe("next_run_timestamp_seconds", "The next tick of the schedule.", target...)
	statusDesc  = describe("last_run_status", "1 for the status of the last run.", "sync", "project", "status")
	upDesc      = describe("state_up", "1 if the state could be read.")
	leaderDesc  = describe("leader", "1 in the process that keeps the schedules.")
)

// Describe lists what is collected.
func (v *view) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{markDesc, lagDesc, rejectsDesc, goodDesc, nextDesc, statusDesc, upDesc, leaderDesc} {
		to <- d
	}
}

// Collect asks the state.
func (v *view) Collect(to chan<- prometheus.Metric) {
	ctx, stop := context.WithTimeout(context.Background(), scrapeTime/2)
	defer stop()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	ours, err := v.leader(ctx)
	if err == nil {
		gauge(leaderDesc, bit(ours))
	}
	targets, err := v.look(ctx)
	gauge(upDesc, bit(err == nil))
	now := time.Now()
	for _, t := range targets {
		at := func(d *prometheus.Desc, when *time.Time) {
			if when != nil {
				gauge(d, unix(*when), t.Sync, t.Project)
			}
		}
		at(markDesc, t.Mark)
		if t.Mark != nil {
			gauge(lagDesc, now.Sub(*t.Mark).Seconds(), t.Sync, t.Project)
		}
		gauge(rejectsDesc, float64(t.OpenRejects), t.Sync, t.Project)
		at(goodDesc, t.LastGood)
		at(nextDesc, t.Next)
		if t.LastRun != "" {
			gauge(statusDesc, 1, t.Sync, t.Project, t.LastRun)
		}
	}
}

func unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

//go:build cgo

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// figure is one line of the table: what was measured, its floor, and what we
// hold ourselves to.
type figure struct {
	name  string
	value string
	floor string
	ratio string
	want  string
	ok    bool
}

// all takes every figure. What is compared is measured in turns, so that a
// machine that slows down slows both.
func (b *bench) all(ctx context.Context) ([]figure, error) {
	addr, stop, err := b.startSink(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer stop()
	var list []figure
	for _, figure := range []struct {
		name string
		take func(context.Context, string) ([]figure, error)
	}{{"throughput", b.throughput}, {"parquet", b.parquet}, {"latency", b.latency}, {"idle", b.idle}, {"scale", b.scale}} {
		if b.only != "" && b.only != figure.name {
			continue
		}
		f, err := figure.take(ctx, addr)
		if err != nil {
			return nil, err
		}
		list = append(list, f...)
	}
	return list, b.profileRun(ctx, addr)
}

// throughput: CPU against the least program, wall time against COPY.
func (b *bench) throughput(ctx context.Context, sink string) ([]figure, error) {
	var worker, least, copied []cost
	for i := range b.repeat + 1 { // the first round warms the server's cache
		config, err := b.config("full", "usage", sink)
		if err != nil {
			return nil, err
		}
		w, err := b.sync(ctx, config, b.rows)
		if err != nil {
			return nil, err
		}
		f, _, err := measure(ctx, b.self, "floor", "-dsn", b.server.DSN, "-query", query("usage"))
		if err != nil {
			return nil, err
		}
		c, _, err := measure(ctx, b.self, "copy", "-dsn", b.server.DSN, "-query", query("usage"))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			worker, least, copied = append(worker, w), append(least, f), append(copied, c)
		}
	}
	million := 1e6 / float64(b.rows)
	cpu, floorCPU := median(worker, func(c cost) float64 { return c.cpu.Seconds() * million }), median(least, func(c cost) float64 { return c.cpu.Seconds() * million })
	wall, floorWall := median(worker, func(c cost) float64 { return c.wall.Seconds() * million }), median(copied, func(c cost) float64 { return c.wall.Seconds() * million })
	allowed := 1.5
	if runtime.NumCPU() >= 4 {
		allowed = 1.15
	}
	rss := median(worker, func(c cost) float64 { return float64(c.rss) })
	return []figure{
		against("worker CPU per million events", cpu, "s", floorCPU, "least program", 1.5),
		against("wall time per million events", wall, "s", floorWall, "COPY", allowed),
		{name: "resident memory", value: fmt.Sprintf("%.0f MB", rss/1e6), want: "≤ 100 MB", ok: rss <= 100e6},
	}, nil
}

// latency: a Mixpanel that is 200 ms away.
func (b *bench) latency(ctx context.Context, _ string) ([]figure, error) {
	sink, stop, err := b.startSink(ctx, 200*time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer stop()
	var costs []cost
	for range min(b.repeat, 3) {
		config, err := b.config("far", "usage", sink)
		if err != nil {
			return nil, err
		}
		c, err := b.sync(ctx, config, b.rows)
		if err != nil {
			return nil, err
		}
		costs = append(costs, c)
	}
	rate := median(costs, func(c cost) float64 { return float64(c.rows) / c.wall.Seconds() })
	return []figure{{name: "events/s with 200 ms latency", value: fmt.Sprintf("%.0f", rate), want: "≥ 30,000", ok: rate >= 30_000}}, nil
}

// idle: a run that finds nothing new, as a whole process.
func (b *bench) idle(ctx context.Context, sink string) ([]figure, error) {
	config, err := b.config("idle", "usage", sink)
	if err != nil {
		return nil, err
	}
	if _, err := b.sync(ctx, config, b.rows); err != nil {
		return nil, err
	}
	var costs []cost
	for range b.repeat * 2 {
		c, err := b.sync(ctx, config, 0)
		if err != nil {
			return nil, err
		}
		costs = append(costs, c)
	}
	wall := median(costs, func(c cost) float64 { return c.wall.Seconds() * 1000 })
	return []figure{{name: "run with nothing new", value: fmt.Sprintf("%.0f ms", wall), want: "≤ 250 ms", ok: wall <= 250}}, nil
}

// scale: ten times the table must cost the same memory, and the same time for
// the same delta.
func (b *bench) scale(ctx context.Context, sink string) ([]figure, error) {
	if b.quick {
		return nil, nil
	}
	const delta = 20_000
	if err := b.fill(ctx, "usage10", 10*b.rows); err != nil {
		return nil, err
	}
	rss := map[string][]cost{}
	walls := map[string][]cost{}
	tables := []string{"usage", "usage10"}
	configs := map[string]string{}
	for range min(b.repeat, 3) {
		for i, table := range tables {
			config, err := b.config("delta-"+table, table, sink)
			if err != nil {
				return nil, err
			}
			configs[table] = config
			rows := b.rows
			if i > 0 {
				rows *= 10
			}
			c, err := b.sync(ctx, config, rows)
			if err != nil {
				return nil, err
			}
			rss[table] = append(rss[table], c)
		}
	}
	for round := range b.repeat {
		for _, table := range tables {
			if err := b.grow(ctx, table, delta, round); err != nil {
				return nil, err
			}
			c, err := b.sync(ctx, configs[table], delta)
			if err != nil {
				return nil, err
			}
			walls[table] = append(walls[table], c)
		}
	}
	megabytes := func(c cost) float64 { return float64(c.rss) / 1e6 }
	seconds := func(c cost) float64 { return c.wall.Seconds() }
	small, large := median(walls["usage"], seconds), median(walls["usage10"], seconds)
	return []figure{
		against(fmt.Sprintf("resident memory, %d M rows", 10*b.rows/1_000_000), median(rss["usage10"], megabytes), "MB", median(rss["usage"], megabytes), "a tenth of the rows", 1.1),
		against(fmt.Sprintf("run with %d new rows, table of %d M", delta, 10*b.rows/1_000_000), large, "s", small, "a tenth of the table", 1.2),
	}, nil
}

// grow adds rows at the end of a table. Round by round they are further behind
// the settle time, yet ahead of everything before.
func (b *bench) grow(ctx context.Context, table string, rows, round int) error {
	return b.exec(ctx, fmt.Sprintf(`INSERT INTO %[1]s SELECT m.id + g, event_name, account_id, user_id, device_id, now() - interval '3 minutes',
		m.loaded_at + interval '15 minutes' + g * interval '10 milliseconds', plan, amount, seats, active, score, note
		FROM (SELECT max(id) AS id, max(loaded_at) AS loaded_at FROM %[1]s) m, generate_series(1,%[2]d) g JOIN %[1]s s ON s.id = g + %[3]d`,
		table, rows, round*rows))
}

// profileRun runs the worker once more under the CPU profiler.
func (b *bench) profileRun(ctx context.Context, sink string) error {
	if b.profile == "" {
		return nil
	}
	config, err := b.config("profile", "usage", sink)
	if b.only == "parquet" {
		config, err = b.parquetConfig("profile", sink)
	}
	if err != nil {
		return err
	}
	path, err := filepath.Abs(b.profile)
	if err != nil {
		return err
	}
	if err := os.Setenv("MIXSYNC_CPUPROFILE", path); err != nil {
		return err
	}
	_, err = b.sync(ctx, config, b.rows)
	return err
}

func against(name string, value float64, unit string, floor float64, what string, allowed float64) figure {
	ratio := value / floor
	return figure{
		name: name, value: fmt.Sprintf("%.2f %s", value, unit), floor: fmt.Sprintf("%.2f %s (%s)", floor, unit, what),
		ratio: fmt.Sprintf("%.2f", ratio), want: fmt.Sprintf("≤ %.2f ×", allowed), ok: ratio <= allowed,
	}
}

func median[T any](list []T, of func(T) float64) float64 {
	var values []float64
	for _, x := range list {
		values = append(values, of(x))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// table writes the figures in Markdown, with machine and date.
func (b *bench) table(figures []figure) string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Benchmarks\n\nMade by `make bench`: %d rows of 13 columns, about 500 bytes a record, from a PostgreSQL on the same machine\nto a sink that discards; medians of %d rounds, compared within the run. %s, %d cores of %s, %s/%s, %s.\n\n",
		b.rows, b.repeat, time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), cpuModel(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	s.WriteString("| figure | measured | floor | ratio | wanted | |\n|---|---|---|---|---|---|\n")
	for _, f := range figures {
		verdict := "ok"
		if !f.ok {
			verdict = "**missed**"
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s |\n", f.name, f.value, cmp.Or(f.floor, "-"), cmp.Or(f.ratio, "-"), f.want, verdict)
	}
	s.WriteString("\nThat mapping and encoding allocate nothing per row is a test: `go test ./mapping -run Alloc`.\n")
	return s.String()
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unnamed CPU"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unnamed CPU"
}

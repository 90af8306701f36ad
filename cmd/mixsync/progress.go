package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/mixsync/mixsync/sync/runner"
)

const (
	// Where stderr is no terminal, a log line about each run in progress is
	// written this often.
	progressEvery = 10 * time.Second
	// Bars count the window in thousandths.
	barTotal = 1000
)

// watcher reports on live runs until it is stopped: by bars on a terminal, by
// log lines elsewhere.
type watcher struct {
	app  *app
	bars *mpb.Progress // nil: log lines

	mu   sync.Mutex
	runs []*watched
	once sync.Once
	quit chan struct{}
	gone chan struct{}
}

// watched is a run in progress.
type watched struct {
	*runner.Live
	bar   *mpb.Bar
	begun time.Time
}

func (a *app) watch(ctx context.Context) *watcher {
	w := &watcher{app: a, quit: make(chan struct{}), gone: make(chan struct{})}
	every := progressEvery
	if a.onTerminal() {
		w.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(24), mpb.WithAutoRefresh())
		a.logTo(w.bars) // log lines go above the bars
		every = 200 * time.Millisecond
	}
	go func() {
		defer close(w.gone)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				if !a.noProgress {
					w.report()
				}
			}
		}
	}()
	return w
}

// onTerminal reports whether bars are wanted and can be drawn.
func (a *app) onTerminal() bool {
	f, ok := a.stderr.(*os.File)
	return ok && !a.noProgress && !a.daemon && a.logFormat == "text" && term.IsTerminal(int(f.Fd()))
}

func (w *watcher) report() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.runs {
		if l.bar == nil {
			w.app.log.Info("in progress", "sync", l.Sync, "project", l.Project, "rows", l.Rows(), "sent", l.Sent(), "settled_to", l.Cursor())
			continue
		}
		if done, ok := l.Done(); ok {
			l.bar.SetCurrent(int64(done * (barTotal - 1))) // only the end of the run completes it
		}
	}
}

func (w *watcher) add(live *runner.Live) {
	w.remove(live.Sync, live.Project) // an earlier window of the same run
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &watched{Live: live, begun: time.Now()}
	if w.bars != nil {
		l.bar = w.bars.AddBar(barTotal,
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(live.Sync, decor.WCSyncSpaceR), decor.Any(l.rows, decor.WCSyncSpace)),
			mpb.AppendDecorators(decor.Any(l.rate, decor.WCSyncSpace), decor.Any(l.lag, decor.WCSyncSpace), decor.Any(l.left, decor.WCSyncSpace)))
	}
	w.runs = append(w.runs, l)
}

func (l *watched) rows(decor.Statistics) string { return fmt.Sprintf("%s rows", thousands(l.Rows())) }

func (l *watched) rate(decor.Statistics) string {
	return fmt.Sprintf("%s/s", thousands(int64(float64(l.Rows())/max(time.Since(l.begun).Seconds(), 0.1))))
}

func (l *watched) lag(decor.Statistics) string {
	lag, ok := l.Lag(time.Now())
	if !ok {
		return ""
	}
	return "lag " + short(lag)
}

func (l *watched) left(decor.Statistics) string {
	done, ok := l.Done()
	if !ok || done < 0.01 {
		return ""
	}
	return "ETA " + short(time.Duration(float64(time.Since(l.begun))*(1-done)/done))
}

// remove ends the reports on a run.
func (w *watcher) remove(sync, project string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = slices.DeleteFunc(w.runs, func(l *watched) bool {
		ended := l.Sync == sync && l.Project == project
		if ended && l.bar != nil {
			l.bar.Abort(true)
		}
		return ended
	})
}

// stop ends the reports; what is written to stderr afterwards is in nobody's way.
func (w *watcher) stop() {
	w.once.Do(func() {
		close(w.quit)
		<-w.gone
		if w.bars == nil {
			return
		}
		w.mu.Lock()
		for _, l := range w.runs {
			l.bar.Abort(true)
		}
		w.mu.Unlock()
		w.app.logTo(w.app.stderr)
		w.bars.Wait()
	})
}

// logTo sends log lines elsewhere from now on.
func (a *app) logTo(w io.Writer) { a.logOut.to.Store(&w) }

// redirect is a writer that can be pointed elsewhere while it is in use.
type redirect struct{ to atomic.Pointer[io.Writer] }

func (r *redirect) Write(b []byte) (int, error) { return (*r.to.Load()).Write(b) }

// thousands writes a number with separators: 1,234,567.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a duration by its two largest units: 3d4h, 5m12s, 800ms.
func short(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", max(0, d/time.Millisecond))
}

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mixsync/mixsync/sync/runner"
)

// A log line about each run in progress is written this often.
const progressEvery = 10 * time.Second

// watcher reports on live runs until it is stopped.
type watcher struct {
	mu   sync.Mutex
	runs []*runner.Live
	once sync.Once
	quit chan struct{}
	gone chan struct{}
}

func (a *app) watch(ctx context.Context) *watcher {
	w := &watcher{quit: make(chan struct{}), gone: make(chan struct{})}
	go func() {
		defer close(w.gone)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				if !a.noProgress {
					w.log(a)
				}
			}
		}
	}()
	return w
}

func (w *watcher) log(a *app) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.runs {
		a.log.Info("in progress", "sync", l.Sync, "project", l.Project, "rows", l.Rows(), "sent", l.Sent(), "settled_to", l.Cursor())
	}
}

func (w *watcher) add(l *runner.Live) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, old := range w.runs { // a later window of the same run
		if old.Sync == l.Sync && old.Project == l.Project {
			w.runs[i] = l
			return
		}
	}
	w.runs = append(w.runs, l)
}

// remove ends the reports on a run.
func (w *watcher) remove(sync, project string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = slices.DeleteFunc(w.runs, func(l *runner.Live) bool { return l.Sync == sync && l.Project == project })
}

func (w *watcher) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.gone
}

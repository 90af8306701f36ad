package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// A drained run ends well within this; what has not by then is cut off. Fits in
// the 30 seconds that Kubernetes gives a pod.
const drainTime = 20 * time.Second

// stopper turns signals into a soft stop (read no more, deliver, save) and, at
// the second signal or when the drain takes too long, a hard one.
type stopper struct {
	soft   chan struct{}
	hard   context.Context
	cancel context.CancelFunc
	done   chan struct{}
	ended  chan struct{}
	code   atomic.Int32
}

// onSignal begins to watch; message is what to tell at the first signal.
func (a *app) onSignal(ctx context.Context, message string) *stopper {
	s := &stopper{soft: make(chan struct{}), done: make(chan struct{}), ended: make(chan struct{})}
	s.hard, s.cancel = context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer close(s.ended)
		defer signal.Stop(signals)
		select {
		case <-s.done:
			return
		case sig := <-signals:
			s.code.Store(exitInterrupt)
			if sig == syscall.SIGTERM {
				s.code.Store(exitTerminated)
			}
		}
		a.log.Info(message)
		close(s.soft)
		select {
		case <-s.done:
			return
		case <-signals:
		case <-time.After(drainTime):
			a.log.Warn("the drain takes too long: stopping at once", "after", drainTime)
		}
		s.cancel()
	}()
	return s
}

// release ends the watching; it waits for it.
func (s *stopper) release() {
	close(s.done)
	<-s.ended
	s.cancel()
}

// instead is err, or that we were stopped while whatever failed was waited for.
func (s *stopper) instead(err error) error {
	if s.hard.Err() != nil && s.code.Load() != 0 {
		return reported(s.exitCode())
	}
	return err
}

func (s *stopper) exitCode() int {
	if code := int(s.code.Load()); code != 0 {
		return code
	}
	return exitInterrupt
}

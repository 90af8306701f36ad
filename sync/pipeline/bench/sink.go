//go:build cgo

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// sink is a Mixpanel that takes everything and looks at nothing.
func sink(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("sink", flag.ContinueOnError)
	latency := f.Duration("latency", 0, "before each answer")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr()) // for the parent, which ends this process
	buf := make(chan []byte, 64)
	for range cap(buf) {
		buf <- make([]byte, 64<<10)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := <-buf
		for {
			if _, err := r.Body.Read(b); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		buf <- b
		time.Sleep(*latency)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"code":200,"error":null,"status":1}`)
	})}
	return s.Serve(l)
}

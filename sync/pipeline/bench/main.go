//go:build cgo

// Command bench measures mixsync against floors taken in the same run: what the
// least program that could do the job costs on the same machine, server and
// rows. It starts a PostgreSQL of its own, drives the built binary as a process,
// and prints a table; with -write it keeps it in BENCH.md.
//
// Figures of shared machines are noisy: trust ratios taken in one run, not
// absolute numbers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 {
		switch args[0] { // processes of their own, so that their CPU is not counted as the worker's
		case "sink":
			return sink(ctx, args[1:])
		case "floor":
			return floor(ctx, args[1:])
		case "fill-parquet":
			return fillParquet(ctx, args[1:])
		case "floor-parquet":
			return floorParquet(args[1:])
		case "copy":
			return copyOut(ctx, args[1:])
		}
	}
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rows, "rows", 1_000_000, "rows of the table")
	f.IntVar(&o.repeat, "repeat", 5, "times each figure is taken")
	f.BoolVar(&o.quick, "quick", false, "leave out what needs a table ten times the size")
	f.StringVar(&o.write, "write", "", "keep the table in this `file`")
	f.StringVar(&o.only, "only", "", "take only this figure: throughput, parquet, latency, idle or scale")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of one more worker run to this `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	figures, err := b.all(ctx)
	if err != nil {
		return err
	}
	text := b.table(figures)
	fmt.Print(text)
	if o.write != "" {
		return os.WriteFile(o.write, []byte(text), 0o644)
	}
	return nil
}

type options struct {
	rows, repeat int
	quick        bool
	write        string
	profile      string
	only         string
}

// Command mixsync keeps Mixpanel in step with a data warehouse.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A state file that may not grow answers EFBIG to the write; the signal
	// that comes with it must not end the process before it can say so.
	signal.Ignore(syscall.SIGXFSZ)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}

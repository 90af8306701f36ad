package main

import (
	"os"
	"runtime/pprof"
)

// profile writes a CPU profile of the process to $MIXSYNC_CPUPROFILE, for
// `make bench` and whoever hunts a cost. The result ends it.
func profile(getenv func(string) (string, bool)) (stop func(), err error) {
	path, ok := getenv("MIXSYNC_CPUPROFILE")
	if !ok || path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, usageError("MIXSYNC_CPUPROFILE: %v", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

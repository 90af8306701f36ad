//go:build !linux

package main

// forgetStartup is for Linux, which tells how memory is mapped.
func forgetStartup() {}

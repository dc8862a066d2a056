//go:build !linux

package main

import (
	"fmt"
	"os"
)

// Pods run Linux, and nothing else locks, watches and reaps as it does.
func main() {
	fmt.Fprintln(os.Stderr, "entrypoint: this program runs in Linux containers only")
	os.Exit(1)
}

// Command mutator serves the admission webhook that turns labelled pods into
// Buildkite job runners.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

// version is set by the build.
var version = "dev"

const usage = `mutator is the admission webhook that turns labelled pods into Buildkite job runners.

Usage:
  mutator serve --config FILE --tls-cert-file FILE --tls-private-key-file FILE
  mutator --version

Run "mutator serve --help" for the flags.
`

func main() {
	os.Exit(execute())
}

// execute runs the program and returns its exit status.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mutator:", err)
		return 1
	}
	return 0
}

// run carries out a command line.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("name a command: serve; see mutator --help")
	}
	switch args[0] {
	case "serve":
		err := serve(ctx, args[1:], lookup, stdout, stderr)
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	case "--version", "version":
		fmt.Fprintln(stdout, version)
		return nil
	case "--help", "-h", "help":
		fmt.Fprint(stdout, usage)
		return nil
	default:
		return fmt.Errorf("unknown command %q; have serve", args[0])
	}
}

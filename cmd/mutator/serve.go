package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	configFile string
	logFormat  string
	debug      bool
	options    webhook.Options
}

func newServeFlags(stdout io.Writer) (*pflag.FlagSet, *serveFlags) {
	flags := &serveFlags{}
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	set.SetOutput(stdout)
	set.SortFlags = false
	set.StringVarP(&flags.configFile, "config", "f", "", "configuration file (required)")
	set.StringVar(&flags.options.CertFile, "tls-cert-file", "", "serving certificate in PEM, read again when it changes (required)")
	set.StringVar(&flags.options.KeyFile, "tls-private-key-file", "", "its private key (required)")
	set.StringVar(&flags.options.Host, "bind-address", "", "address to listen on; empty is all")
	set.IntVar(&flags.options.Port, "port", 9443, "port of the admission webhook, at "+webhook.Path)
	set.IntVar(&flags.options.HealthPort, "health-port", 8081, "port of /healthz, /readyz and /metrics")
	set.DurationVar(&flags.options.DrainDelay, "drain-delay", 10*time.Second, "how long to go on serving after SIGTERM")
	set.IntVar(&flags.options.MaxInFlight, "max-in-flight", webhook.DefaultMaxInFlight, "most reviews under way at once; others wait")
	set.StringVar(&flags.logFormat, "log-format", "json", "json or text")
	set.BoolVar(&flags.debug, "debug", false, "log every review")
	set.Usage = func() {
		fmt.Fprintln(stdout, "Serve the admission webhook.\n\nFlags (each is also an environment variable: --tls-cert-file is TLS_CERT_FILE):")
		fmt.Fprint(stdout, set.FlagUsages())
	}
	return set, flags
}

// serve runs the webhook until the context ends.
func serve(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) error {
	set, flags := newServeFlags(stdout)
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if err := setFromEnvironment(set, lookup); err != nil {
		return err
	}
	if err := flags.check(); err != nil {
		return err
	}
	log, err := newLogger(flags.logFormat, flags.debug, stderr)
	if err != nil {
		return err
	}
	flags.options.Config, err = loadConfig(flags.configFile)
	if err != nil {
		return err
	}
	webhook.CollectRarely()
	return webhook.Run(ctx, flags.options, log)
}

// setFromEnvironment sets flags that are not on the command line from the
// variables of their names.
func setFromEnvironment(set *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var problem error
	set.VisitAll(func(flag *pflag.Flag) {
		name := strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value, found := lookup(name)
		if !found || flag.Changed || problem != nil {
			return
		}
		if err := set.Set(flag.Name, value); err != nil {
			problem = fmt.Errorf("read environment variable %s: %w", name, err)
		}
	})
	return problem
}

func (f *serveFlags) check() error {
	for _, required := range []struct{ name, value string }{
		{"config", f.configFile}, {"tls-cert-file", f.options.CertFile}, {"tls-private-key-file", f.options.KeyFile},
	} {
		if required.value == "" {
			return fmt.Errorf("--%s is required", required.name)
		}
	}
	for _, port := range []struct {
		name  string
		value int
	}{{"port", f.options.Port}, {"health-port", f.options.HealthPort}} {
		if port.value < 1 || port.value > 65535 {
			return fmt.Errorf("--%s is %d; want a port from 1 to 65535", port.name, port.value)
		}
	}
	if f.options.MaxInFlight < 1 {
		return fmt.Errorf("--max-in-flight is %d; want 1 or more", f.options.MaxInFlight)
	}
	if f.options.DrainDelay < 0 {
		return fmt.Errorf("--drain-delay is %s; want 0 or more", f.options.DrainDelay)
	}
	return nil
}

func newLogger(format string, debug bool, out io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		options.Level = slog.LevelDebug
	}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(out, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(out, options)), nil
	default:
		return nil, fmt.Errorf("--log-format is %q; want json or text", format)
	}
}

// loadConfig reads a configuration file. The error has a line for each mistake.
func loadConfig(path string) (mutator.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return mutator.Config{}, fmt.Errorf("read configuration: %w", err)
	}
	config, errs := mutator.ParseConfig(data)
	if len(errs) > 0 {
		lines := make([]string, len(errs))
		for i, one := range errs {
			lines[i] = one.Error()
		}
		return mutator.Config{}, fmt.Errorf("read configuration %s:\n  %s", path, strings.Join(lines, "\n  "))
	}
	config.Version = version
	return config, nil
}

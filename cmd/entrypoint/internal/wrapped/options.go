//go:build linux

package wrapped

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/interpose"
)

const usage = `Usage: entrypoint run --id=K [options] [-- COMMAND... ARGS...]

Start in a wrapped container of a Buildkite job: say that the container is there,
wait until the agent has the job and the container before this one (id K-1) has
succeeded, then run this container's phases of the job.

  --id=K                  Which wrapped container this is, from 0. Required.
  --interposer=NAME       How the container's own command and args run, which
                          follow the --. Without them the job's command runs.
                            vector     exactly these words, without a shell
                            buildkite  as a script: each word of command is a
                                       line, and the args, quoted, end the last
                            legacy     as a script: all words joined by spaces
  --commands=N            How many of the words are command; the rest are args.
                          Required by the buildkite interposer.
  --working-directory=DIR Where the command runs, which may be in the checkout;
                          a relative DIR is relative to the checkout. Default
                          the checkout.
  --hold-timeout=DURATION How long to wait for the agent's container to start.
                          Default 2h.

Environment: BUILDKITE_JOB_CONTEXT_DIR is the directory shared with the agent's
container, default /buildkite/run. BUILDKITE_COMMAND becomes the container's own
command, or else the taken job's unless the container sets it. BUILDKITE_SHELL,
the shell for scripts, becomes "entrypoint exec" for a vector, and goes through it
if there is a DIR. Git is told to trust every directory. HOME is made if it is
missing.

Exit status: that of the job's phases in this container. 1 if they did not run:
the agent ended first, a container before this one failed, or this container was
restarted. 143 if it was stopped before the agent's container was there. If the
pod reports the runner rather than the job (entrypoint agent
--exit-status=runner), 0 once Buildkite has accepted the job's result.
`

// Options are the run subcommand's flags; see usage.
type Options struct {
	ID               int
	HoldTimeout      time.Duration
	Command          interpose.Command
	WorkingDirectory string
}

func parse(arguments []string) (Options, error) {
	var options Options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&options.ID, "id", -1, "")
	flags.StringVar(&options.Command.Interposer, "interposer", "", "")
	flags.IntVar(&options.Command.Lines, "commands", -1, "")
	flags.StringVar(&options.WorkingDirectory, "working-directory", "", "")
	flags.DurationVar(&options.HoldTimeout, "hold-timeout", 2*time.Hour, "")
	if err := flags.Parse(arguments); err != nil {
		return Options{}, err
	}
	options.Command.Words = flags.Args()
	switch {
	case options.ID < 0:
		return Options{}, errors.New("--id: want the container's id, 0 or more")
	case options.HoldTimeout <= 0:
		return Options{}, fmt.Errorf("--hold-timeout: %v is not a time to wait", options.HoldTimeout)
	default:
		return options, options.Command.Validate()
	}
}

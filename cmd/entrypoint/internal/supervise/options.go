//go:build linux

package supervise

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const usage = `Usage: entrypoint agent --containers=N [options]

Supervise a pod that runs one Buildkite job, from the agent's container: hold the
agent until the wrapped containers have started, let them run in their order, and
end the job with the reason when one of them dies.

  --containers=N              How many wrapped containers there are. Required.
  --names=A,B,...             Their names in the order of their ids, for messages.
  --images=A,B,...            Their images in the same order, for the job's log.
  --mutator-version=VERSION   The version that made the pod, for the job's log.
  --agent-binary=PATH         The agent's program in this container's image.
                              Default /usr/local/bin/buildkite-agent.
  --agent-directory=DIR       Where to put it for all containers. Default
                              /buildkite/agent.
  --job-uuid=UUID             The job to acquire. Without it the agent takes the
                              next job of its queue and ends after it.
  --idle-timeout=DURATION     Without --job-uuid: end after so long without a job.
                              Default 10m.
  --ignore-job-pod-spec       Without --job-uuid: run a job even if it asks for a
                              pod or an image of its own.
  --exit-status=reflect|runner
                              reflect: containers keep the job's status; the
                              default with --job-uuid. runner: they exit 0 once
                              Buildkite has accepted the job's result; the default
                              without.
  --hold-timeout=DURATION     How long to wait for the containers to start.
                              Default 1h. With --job-uuid the job is then acquired
                              and failed with the reason.
  --assured=A,B,...           Names of wrapped containers that start if this one
                              did, because they need nothing that it does not have:
                              the agent may take the job before they are there.
  --assured-timeout=DURATION  How long after the others they may start. Default 5m.
                              The job is then failed with the reason.
  --settle-time=DURATION      How long to wait, after a container died, for a sign
                              that the whole pod is being stopped. Default 1s.
  --termination-log=PATH      Where to leave a summary as JSON.
                              Default /dev/termination-log.

Exit status: the agent's, which is 27 if somebody else has the job. 1 if the pod
could not be prepared, if it ended for a container of its own before there was a
job, or if this container was restarted. 143 if it was stopped before the agent
started. A job that is failed from here gets exit status
137 for a container that was killed, 193 for containers that never started, 194
for a job that asks for another pod than this, 195 if the supervisor itself could
not go on.
`

// Exit statuses of jobs that the supervisor ends itself.
const (
	statusKilled       = 137
	statusNeverStarted = 193
	statusWrongPod     = 194
	statusBroken       = 195
)

// Options are the agent subcommand's flags; see usage.
type Options struct {
	Names            []string
	Images           []string
	MutatorVersion   string
	AgentBinary      string
	AgentDirectory   string
	JobUUID          string
	IdleTimeout      time.Duration
	IgnoreJobPodSpec bool
	ExitStatus       string
	HoldTimeout      time.Duration
	Assured          []string
	AssuredTimeout   time.Duration
	SettleTime       time.Duration
	TerminationLog   string
}

// queueMode says that the agent takes the next job of its queue.
func (o Options) queueMode() bool { return o.JobUUID == "" }

func parse(arguments []string) (Options, error) {
	var options Options
	var containers int
	var names, images, assured string

	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&containers, "containers", 0, "")
	flags.StringVar(&names, "names", "", "")
	flags.StringVar(&images, "images", "", "")
	flags.StringVar(&options.MutatorVersion, "mutator-version", "", "")
	flags.StringVar(&options.AgentDirectory, "agent-directory", contract.AgentBinaryDirectory, "")
	flags.StringVar(&options.AgentBinary, "agent-binary", "/usr/local/bin/buildkite-agent", "")
	flags.StringVar(&options.JobUUID, "job-uuid", "", "")
	flags.DurationVar(&options.IdleTimeout, "idle-timeout", 10*time.Minute, "")
	flags.BoolVar(&options.IgnoreJobPodSpec, "ignore-job-pod-spec", false, "")
	flags.StringVar(&options.ExitStatus, "exit-status", "", "")
	flags.DurationVar(&options.HoldTimeout, "hold-timeout", time.Hour, "")
	flags.StringVar(&assured, "assured", "", "")
	flags.DurationVar(&options.AssuredTimeout, "assured-timeout", 5*time.Minute, "")
	flags.DurationVar(&options.SettleTime, "settle-time", time.Second, "")
	flags.StringVar(&options.TerminationLog, "termination-log", "/dev/termination-log", "")
	if err := flags.Parse(arguments); err != nil {
		return Options{}, err
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	options.Names = defaultNames(containers)
	if names != "" {
		options.Names = strings.Split(names, ",")
	}
	if images != "" {
		options.Images = strings.Split(images, ",")
	}
	if assured != "" {
		options.Assured = strings.Split(assured, ",")
	}
	if options.ExitStatus == "" {
		options.ExitStatus = contract.ExitStatusReflect
		if options.queueMode() {
			options.ExitStatus = contract.ExitStatusRunner
		}
	}

	return options, options.check(containers)
}

func defaultNames(containers int) []string {
	var names []string
	for id := range containers {
		names = append(names, strconv.Itoa(id))
	}

	return names
}

func (o Options) check(containers int) error {
	switch {
	case containers < 1:
		return errors.New("--containers: want the number of wrapped containers, at least 1")
	case len(o.Names) != containers:
		return fmt.Errorf("--names: %d names for %d containers", len(o.Names), containers)
	case len(o.Images) != 0 && len(o.Images) != containers:
		return fmt.Errorf("--images: %d images for %d containers", len(o.Images), containers)
	case o.ExitStatus != contract.ExitStatusReflect && o.ExitStatus != contract.ExitStatusRunner:
		return fmt.Errorf("--exit-status: %q is neither %s nor %s", o.ExitStatus, contract.ExitStatusReflect, contract.ExitStatusRunner)
	case o.IdleTimeout <= 0:
		return fmt.Errorf("--idle-timeout: %v is not a time to wait", o.IdleTimeout)
	case o.HoldTimeout <= 0:
		return fmt.Errorf("--hold-timeout: %v is not a time to wait", o.HoldTimeout)
	case slices.ContainsFunc(o.Assured, func(name string) bool { return !slices.Contains(o.Names, name) }):
		return fmt.Errorf("--assured: %q are not all among the containers %q", o.Assured, o.Names)
	case o.AssuredTimeout <= 0:
		return fmt.Errorf("--assured-timeout: %v is not a time to wait", o.AssuredTimeout)
	case o.SettleTime < 0:
		return fmt.Errorf("--settle-time: %v is negative", o.SettleTime)
	case o.AgentBinary == "":
		return errors.New("--agent-binary: empty")
	default:
		return nil
	}
}

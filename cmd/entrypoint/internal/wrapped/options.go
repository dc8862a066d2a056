//go:build linux

package wrapped

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/interpose"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
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
  --own-variables=A,B,... Variables that the command has as this container sets
                          them, or not at all. Others are the agent's where it
                          has them: it sends its environment to all containers.
  --hold-timeout=DURATION How long to wait for the agent's container to start.
                          Default 2h.
  --ssh-directory=DIR|none
                          Where the files go that the environment's SSH_...
                          variables ask for; none makes none. Default
                          /workspace/.ssh. Outside the workspace DIR is closed to
                          other users.
  --agent-directory=DIR   Where the agent's container has put the agent's program.
                          Default /buildkite/agent.
  --workspace=DIR         The workspace's path. Default /workspace.
  --passwd=PATH           The user database, in which OpenSSH looks for the home
                          directory. Default /etc/passwd.

SSH: SSH_PRIVATE_RSA_KEY, SSH_PRIVATE_DSA_KEY, SSH_PRIVATE_ECDSA_KEY and
SSH_PRIVATE_ED25519_KEY become id_rsa, id_dsa, id_ecdsa and id_ed25519 in the SSH
directory, SSH_CONFIG becomes config, and the lines of SSH_KNOWN_HOSTS are added to
known_hosts. Each may have _B64 at its end and hold base64, or _PATH and name a
file. SSH_DEBUG raises the log level. All files belong to the container's user. In
the container that checks out (BUILDKITE_BOOTSTRAP_PHASES has "checkout"), .ssh in
the home directories becomes a link to it where there is none, GIT_SSH_COMMAND
names the files where there cannot be one, and the variables are unset. What is
wrong with a key is said in the job's log; the job goes on.

Users: if a container after this one runs as another user, then after this one has
succeeded everybody may do with each file of the workspace what its owner may, but
for the SSH directory and what is mounted inside. The checkout then runs with the
umask 0, and Git does not look at a file's time of change (core.trustctime).

Environment: BUILDKITE_JOB_CONTEXT_DIR is the directory shared with the agent's
container, default /buildkite/run; the container's phases may see it by another
name, client-K.context inside it. BUILDKITE_COMMAND becomes the container's own
command, or else the taken job's unless the container sets it. BUILDKITE_SHELL,
the shell for scripts, becomes "entrypoint exec" for a vector, and goes through it
if there is a DIR. Git is told to trust every directory, in GIT_CONFIG_PARAMETERS,
where the container's GIT_CONFIG_COUNT and its settings go too, so that those of the
job do not hide them. HOME and TMPDIR are made if they are missing; where there is
no TMPDIR and /tmp cannot be written to, TMPDIR is a directory of the container's
own in BUILDKITE_JOB_CONTEXT_DIR.

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
	OwnVariables     []string
	SSHDirectory     string
	AgentDirectory   string
	Workspace        string
	Passwd           string
}

func parse(arguments []string) (Options, error) {
	var options Options
	var own string
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&options.ID, "id", -1, "")
	flags.StringVar(&options.Command.Interposer, "interposer", "", "")
	flags.IntVar(&options.Command.Lines, "commands", -1, "")
	flags.StringVar(&options.WorkingDirectory, "working-directory", "", "")
	flags.StringVar(&own, "own-variables", "", "")
	flags.DurationVar(&options.HoldTimeout, "hold-timeout", 2*time.Hour, "")
	flags.StringVar(&options.SSHDirectory, "ssh-directory", contract.SSHPath, "")
	flags.StringVar(&options.AgentDirectory, "agent-directory", contract.AgentBinaryDirectory, "")
	flags.StringVar(&options.Workspace, "workspace", contract.WorkspacePath, "")
	flags.StringVar(&options.Passwd, "passwd", "/etc/passwd", "")
	if err := flags.Parse(arguments); err != nil {
		return Options{}, err
	}
	options.Command.Words = flags.Args()
	if own != "" {
		options.OwnVariables = strings.Split(own, ",")
	}
	switch {
	case options.ID < 0:
		return Options{}, errors.New("--id: want the container's id, 0 or more")
	case options.HoldTimeout <= 0:
		return Options{}, fmt.Errorf("--hold-timeout: %v is not a time to wait", options.HoldTimeout)
	case options.SSHDirectory != noSSH && !filepath.IsAbs(options.SSHDirectory):
		return Options{}, fmt.Errorf("--ssh-directory: %q is neither an absolute path nor %s", options.SSHDirectory, noSSH)
	default:
		return options, options.Command.Validate()
	}
}

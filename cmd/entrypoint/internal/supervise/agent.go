//go:build linux

package supervise

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/process"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// startAgent starts the agent's process. With a held token it waits for that.
func (s *supervisor) startAgent() error {
	output, write, err := newAgentOutput(s.out)
	if err != nil {
		return err
	}
	defer write.Close()
	s.output = output
	var further []*os.File
	if s.token != nil {
		defer s.token.read.Close()
		further = append(further, s.token.read)
	}
	s.agent, err = process.Start(s.options.AgentBinary, []string{"start"}, s.agentEnvironment(), write, write, further...)

	return err
}

// prepareAgent starts the agent before it is its turn, if it can be held there.
func (s *supervisor) prepareAgent() error {
	var err error
	if s.token, err = holdToken(os.Getenv(tokenVariable)); err != nil || s.token == nil {
		return err
	}

	return s.startAgent()
}

// letAgentGo ends the hold: the agent registers and takes a job.
func (s *supervisor) letAgentGo() error {
	s.phases.Held = s.elapsed()
	s.taking = true
	if len(s.absent()) > 0 {
		s.late = time.After(s.options.AssuredTimeout)
	}
	if s.agent == nil {
		s.logf("starting the agent after %.1f s", s.phases.Held.Seconds())

		return s.startAgent()
	}
	s.logf("the agent may begin after %.1f s", s.phases.Held.Seconds())

	return s.token.give()
}

// agentEnvironment is our environment with what we know better. A wrong count
// would let a job pass without having run its command.
func (s *supervisor) agentEnvironment() []string {
	values := map[string]string{
		"BUILDKITE_KUBERNETES_EXEC": "true",
		"BUILDKITE_CONTAINER_COUNT": strconv.Itoa(len(s.clients)),
		"BUILDKITE_JOB_CONTEXT_DIR": s.directory.Path(""),
		// The agent's own guard fails a healthy job whose first containers take
		// longer than it, since the others register only when it is their turn.
		"BUILDKITE_KUBERNETES_CONTAINER_START_TIMEOUT": "-1s",
	}
	if s.token != nil {
		values[tokenVariable] = tokenPipe
	}
	if s.options.queueMode() {
		idle := max(1, int(s.options.IdleTimeout.Seconds()))
		values["BUILDKITE_AGENT_DISCONNECT_AFTER_JOB"] = "true"
		values["BUILDKITE_AGENT_DISCONNECT_AFTER_IDLE_TIMEOUT"] = strconv.Itoa(idle)
		if !s.options.IgnoreJobPodSpec && os.Getenv("BUILDKITE_ALLOWED_PLUGINS") == "" {
			values["BUILDKITE_ALLOWED_PLUGINS"] = otherPlugins()
		}
	} else {
		values["BUILDKITE_AGENT_ACQUIRE_JOB"] = s.options.JobUUID
		if s.options.ExitStatus == contract.ExitStatusReflect {
			values["BUILDKITE_AGENT_REFLECT_EXIT_STATUS"] = "true"
		}
	}

	var environment []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, ours := values[name]; !ours {
			environment = append(environment, variable)
		}
	}
	for name, value := range values {
		environment = append(environment, name+"="+value)
	}

	return environment
}

// onAgentEnd tells the wrapped containers how it went and returns our exit
// status.
func (s *supervisor) onAgentEnd() int {
	s.output.drain()
	status := s.agent.Status()
	code := status.Code
	s.phases.Finished = s.elapsed()
	if status.Signal != 0 {
		s.logf("the agent was killed: %v", status.Signal)
	} else {
		s.logf("the agent ended with status %d after %.1f s", code, s.phases.Finished.Seconds())
	}

	if !s.taking && code == 0 {
		// It was to wait.
		code = 1
	}
	tookJob := s.runner != nil
	verdict := rundir.Rejected
	if code == 0 && (s.options.ExitStatus == contract.ExitStatusRunner || !tookJob && s.options.queueMode()) && !s.output.finishFailed.Load() {
		verdict = rundir.Accepted
	}
	if code == 0 && s.failure != nil && !tookJob {
		verdict, code = rundir.Rejected, 1
	}
	if code == 0 && tookJob && s.options.ExitStatus == contract.ExitStatusReflect {
		// The agent reflects only a job that it was told to acquire.
		code = s.jobStatus()
	}
	if err := s.directory.Write(rundir.Finished, []byte(verdict)); err != nil {
		s.logf("%v", err)
	}

	return code
}

// What the agent logs where nothing else tells. Sources: agent/run_job.go, cleanup
// and Cancel, of github.com/buildkite/agent/v3 v3.138.1.
const (
	// finishFailure: Buildkite did not take a job's result.
	finishFailure = "Couldn't mark job as finished"
	// cancelling: the job is about to be cancelled, or the agent stopped.
	cancelling = "Canceling job "
)

// agentOutput passes the agent's output on and listens in.
type agentOutput struct {
	finishFailed atomic.Bool
	cancelled    chan struct{} // receives one value, once the agent cancels the job
	copied       chan struct{}
}

// newAgentOutput returns the end of the pipe that the agent writes to; the caller
// closes it after the start.
func newAgentOutput(to io.Writer) (*agentOutput, *os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe for the agent's output: %w", err)
	}
	output := &agentOutput{cancelled: make(chan struct{}, 1), copied: make(chan struct{})}
	go output.copy(read, to)

	return output, write, nil
}

func (o *agentOutput) copy(from *os.File, to io.Writer) {
	defer close(o.copied)
	defer from.Close()
	buffer := make([]byte, 32*1024)
	finish, cancel := listener{text: finishFailure}, listener{text: cancelling}
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if cancel.hears(buffer[:n]) {
				o.cancelled <- struct{}{}
			}
			if finish.hears(buffer[:n]) {
				o.finishFailed.Store(true)
			}
			// A container log that cannot be written must not stop the agent.
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// listener waits for a text in a stream.
type listener struct {
	text  string
	tail  []byte
	heard bool
}

// hears says, once, that the text is there. It may be split between two pieces.
func (l *listener) hears(piece []byte) bool {
	if l.heard {
		return false
	}
	window := slices.Concat(l.tail, piece)
	l.heard = bytes.Contains(window, []byte(l.text))
	l.tail = window[max(0, len(window)-len(l.text)):]

	return l.heard
}

// drain waits for the rest of the output. Something that the agent left behind
// may keep the pipe open, so not for ever.
func (o *agentOutput) drain() {
	select {
	case <-o.copied:
	case <-time.After(time.Second):
	}
}

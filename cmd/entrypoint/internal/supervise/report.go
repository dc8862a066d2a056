//go:build linux

package supervise

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// failure is why the supervisor ends the job, in words for the pipeline's author.
type failure struct {
	status int
	title  string
	text   string
}

func (f failure) oneLine() string {
	return f.title + ": " + strings.Join(strings.Fields(f.text), " ")
}

// fail ends the job, or the pod where there is no job to end. The first failure
// stands.
func (s *supervisor) fail(f failure) {
	if s.failure != nil {
		return
	}
	s.failure = &f
	s.logf("%s", f.oneLine())

	switch {
	case s.runner != nil:
		s.reportFailure()
	case s.taking && s.options.queueMode():
		// The agent is waiting for a job that this pod can no longer run.
		s.agent.Signal(syscall.SIGTERM)
	}
	// With a job UUID the agent may take the job now, if it could not before, and the
	// job is ended as soon as the agent has acquired it.
}

// reportFailure writes the reason to the job's log and ends the job. The status
// is given for the first container that has not succeeded, which is the one whose
// status the agent reports, whichever of them failed.
func (s *supervisor) reportFailure() {
	text := fmt.Sprintf("+++ %s\n%s\n", s.failure.title, s.failure.text)
	if err := s.runner.WriteLogs(text); err != nil {
		s.logf("%v", err)
	}
	if err := s.runner.Exit(s.firstUnfinished(), s.failure.status); err != nil {
		s.logf("%v", err)
	}
}

// stopPatience bounds the wait for the agent to take a line before it is stopped.
const stopPatience = time.Second

// reportStop says in the job's log that the pod is being stopped, where otherwise
// the command's end by a signal would be all that there is to see.
func (s *supervisor) reportStop() {
	text := fmt.Sprintf(`+++ Kubernetes is stopping this pod
A drained node, an eviction, a deletion or a deadline ends the job, not its command. The pod's events say which:
kubectl events --for pod/%s --namespace %s
`, podName(), pod("NAMESPACE"))
	written := make(chan error, 1)
	go func() { written <- s.runner.WriteLogs(text) }()
	select {
	case err := <-written:
		if err != nil {
			s.logf("%v", err)
		}
	case <-time.After(stopPatience):
	}
}

func (s *supervisor) firstUnfinished() int {
	for id := range s.clients {
		if exit, err := s.directory.ReadExit(id); err != nil || exit.Status != 0 {
			return id
		}
	}

	return len(s.clients) - 1
}

func neverStartedText(missing []string, limit time.Duration) string {
	return fmt.Sprintf(`After %v these containers had not started: %s.
Most often an image cannot be pulled or a volume cannot be mounted; the pod's events say which:
kubectl describe pod %s --namespace %s`, limit, list(missing), podName(), pod("NAMESPACE"))
}

func lateText(missing []string, limit time.Duration) string {
	return fmt.Sprintf(`%v after the others these containers had not started: %s.
The node has their images, so its container runtime or its disk is in trouble; the pod's events say more:
kubectl describe pod %s --namespace %s`, limit, list(missing), podName(), pod("NAMESPACE"))
}

// openingGroup is the first thing in a job's log: where the job runs, and what
// took how long so far.
func (s *supervisor) openingGroup() string {
	var text strings.Builder
	text.WriteString("~~~ Kubernetes pod\n")
	line := func(name, format string, arguments ...any) {
		fmt.Fprintf(&text, "%-10s "+format+"\n", append([]any{name}, arguments...)...)
	}
	line("pod", "%s", podName())
	line("namespace", "%s", pod("NAMESPACE"))
	line("node", "%s", pod("NODE"))
	if s.options.MutatorVersion != "" {
		line("mutator", "%s", s.options.MutatorVersion)
	}
	for _, c := range s.clients {
		name := c.name
		if c.image != "" {
			name += " (" + c.image + ")"
		}
		switch {
		case c.started != 0:
			line("container", "%s, started after %.1f s", name, c.started.Seconds())
		case c.assured && s.failure == nil:
			line("container", "%s, starting", name)
		default:
			line("container", "%s, not started", name)
		}
	}
	line("prepared", "%.1f s, to make directories and copy the agent", s.phases.Prepared.Seconds())
	line("held", "%.1f s, waiting for containers to start", (s.phases.Held - s.phases.Prepared).Seconds())
	line("agent", "%.1f s, to register and take the job", (s.phases.Acquired - s.phases.Held).Seconds())

	return text.String()
}

// podName is the pod's name, which is its host name unless it set another.
func podName() string {
	if name := os.Getenv(contract.PodVariable); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}

	return name
}

// pod is a fact about the pod that the mutator put into the environment.
func pod(fact string) string {
	return environmentOr("BUILDKITE_K8S_"+fact, "unknown")
}

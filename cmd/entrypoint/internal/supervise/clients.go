//go:build linux

package supervise

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
)

// client is one wrapped container as the supervisor knows it.
type client struct {
	name    string
	image   string        // empty if it is not known
	assured bool          // it starts if this container did, so the agent does not wait for it
	started time.Duration // since the supervisor's start; 0 while it has not
	ended   time.Duration // since the supervisor's start; 0 while it has not
	status  int           // valid once it has ended
}

// noteStarted looks for containers that have started, and from then on waits for
// each one's lock to be released.
func (s *supervisor) noteStarted() {
	for id := range s.clients {
		c := &s.clients[id]
		if c.started != 0 || !s.directory.Exists(rundir.ClientStarted(id)) {
			continue
		}
		c.started = s.elapsed()
		s.logf("container %s has started (%d of %d)", c.name, len(s.clients)-len(s.absent()), len(s.clients))
		go func() {
			if err := s.directory.AwaitRelease(rundir.ClientLock(id)); err != nil {
				s.logf("%v", err)

				return
			}
			s.released <- id
		}()
	}
}

// absent names the containers that have not started.
func (s *supervisor) absent() []string {
	return s.names(func(c client) bool { return c.started == 0 })
}

// awaited names the containers that have to start before the agent takes the job.
func (s *supervisor) awaited() []string {
	return s.names(func(c client) bool { return c.started == 0 && !c.assured })
}

func (s *supervisor) names(are func(client) bool) []string {
	var names []string
	for _, c := range s.clients {
		if are(c) {
			names = append(names, c.name)
		}
	}

	return names
}

// giveUpWaiting tells the agent, which has begun to cancel the job, that the
// containers whose turn has not come are done with it. Else it takes them for
// containers that never started, and says in the job's log that an image could
// not be pulled. The one whose turn it is ends by itself and says how.
func (s *supervisor) giveUpWaiting() {
	if s.runner == nil || s.stopping || s.failure != nil {
		return
	}
	if len(s.absent()) > 0 {
		s.endAbsent()

		return
	}
	for id := s.firstUnfinished() + 1; id < len(s.clients); id++ {
		if err := s.runner.Exit(id, 0); err != nil {
			s.logf("%v", err)

			return
		}
	}
}

// endAbsent ends a job that is being stopped or cancelled although one of its containers
// has not started, for which the agent would wait.
func (s *supervisor) endAbsent() {
	if s.runner == nil {
		return
	}
	for id, c := range s.clients {
		if c.started != 0 {
			continue
		}
		if err := s.runner.Exit(id, 128+int(syscall.SIGTERM)); err != nil {
			s.logf("%v", err)
		}

		return
	}
}

// onReleased handles the end of a container. One that did not succeed is judged
// a little later: the agent may know already, and the pod may be being stopped.
func (s *supervisor) onReleased(id int) {
	c := &s.clients[id]
	c.ended = s.elapsed()
	exit, err := s.directory.ReadExit(id)
	if err != nil {
		exit = rundir.Exit{Status: statusKilled}
	}
	c.status = exit.Status
	if c.status == 0 {
		s.logf("container %s is done", c.name)

		return
	}
	s.logf("container %s ended with status %d", c.name, c.status)
	s.unsettled++
	time.AfterFunc(s.options.SettleTime, func() { s.settled <- id })
}

// onSettled ends the job for a container that failed, unless that is known.
func (s *supervisor) onSettled(id int) {
	s.unsettled--
	switch {
	case s.stopping, s.failure != nil:
		return
	case s.runner != nil && !s.directory.Exists(rundir.Socket):
		// The runner has gone: it knows the job's result.
		return
	}

	exit, err := s.directory.ReadExit(id)
	switch {
	case err != nil:
		s.fail(failure{status: statusKilled, title: "Container " + s.clients[id].name + " was killed", text: killedText(s.clients[id].name)})
	case exit.Reason != "":
		s.fail(failure{status: exit.Status, title: "Container " + s.clients[id].name + " failed", text: exit.Reason})
	default:
		s.fail(failure{
			status: exit.Status,
			title:  "Container " + s.clients[id].name + " failed",
			text:   fmt.Sprintf("It ended with exit status %d and did not tell the agent. Its own log may say why.", exit.Status),
		})
	}
}

func killedText(name string) string {
	return fmt.Sprintf(`The container %q ended without a word: something killed it from outside. Most often
it used more memory than its limit (the pod's status then says OOMKilled): raise
resources.limits.memory of that container. The job fails with exit status %d.`, name, statusKilled)
}

// jobStatus is the status of the first container that did not succeed, as the
// agent reports it, or 0. The agent has ended.
func (s *supervisor) jobStatus() int {
	for id := range s.clients {
		if s.clients[id].started == 0 {
			continue
		}
		exit, err := s.awaitExit(id)
		if err != nil {
			// It was killed or not run, and nor were those after it.
			break
		}
		if exit.Status != 0 {
			return exit.Status
		}
	}
	if s.failure != nil {
		return s.failure.status
	}

	return 0
}

// awaitExit reads how a container ended. It tells the agent first, which may then
// end at once, and writes its marker an instant later.
func (s *supervisor) awaitExit(id int) (rundir.Exit, error) {
	watch := s.directory.Watch()
	defer watch.Close()
	limit := time.NewTimer(s.options.SettleTime)
	defer limit.Stop()
	for {
		exit, err := s.directory.ReadExit(id)
		if err == nil {
			return exit, nil
		}
		select {
		case <-watch.Changed:
		case <-limit.C:
			return rundir.Exit{}, fmt.Errorf("the exit of container %s: %w", s.clients[id].name, err)
		}
	}
}

func list(names []string) string { return strings.Join(names, ", ") }

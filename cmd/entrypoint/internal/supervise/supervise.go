//go:build linux

// Package supervise is the entrypoint of the agent's container. It holds the
// agent until the wrapped containers have started, so that a job whose images
// cannot be pulled stays scheduled; then it runs the agent and keeps watch over
// the containers, because the agent alone takes 30 seconds to miss one that died,
// and for ever to miss one that died before it registered.
package supervise

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/process"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/runner"
)

// supervisor is the state of one pod. Only the goroutine that runs loop touches
// it; others send to its channels.
type supervisor struct {
	options   Options
	directory rundir.Directory
	out       io.Writer
	begun     time.Time

	alive, gate *rundir.Lock
	clients     []client

	watch    *rundir.Watch
	released chan int // a container's lock was released
	settled  chan int // and some time has passed since
	// unsettled counts the containers that failed and are not judged yet.
	unsettled int
	signals   <-chan os.Signal
	late      <-chan time.Time // a container that was sure to start should have

	token  *heldToken // nil if the agent is not held by it
	agent  *process.Child
	output *agentOutput
	runner *runner.Client

	taking   bool     // the hold is over, and the agent may take a job
	stopping bool     // the pod is being stopped
	failure  *failure // why the supervisor ends the job
	phases   phases
}

// Main is the agent subcommand. It returns the exit status.
func Main(arguments []string, stdout, stderr io.Writer) int {
	options, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)

		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "entrypoint agent: %v\n\n%s", err, usage)

		return 1
	}

	s := newSupervisor(options, stdout)
	status, err := s.run()
	if err != nil {
		fmt.Fprintf(stderr, "entrypoint: %v\n", err)
		status = 1
	}
	s.end(status, err)

	return status
}

func newSupervisor(options Options, stdout io.Writer) *supervisor {
	s := &supervisor{
		options:  options,
		out:      stdout,
		begun:    time.Now(),
		released: make(chan int),
		settled:  make(chan int),
		signals:  process.Signals(),
	}
	for id, name := range options.Names {
		s.clients = append(s.clients, client{name: name, assured: slices.Contains(options.Assured, name)})
		if len(options.Images) > 0 {
			s.clients[id].image = options.Images[id]
		}
	}

	return s
}

func (s *supervisor) elapsed() time.Duration { return time.Since(s.begun) }

// logf writes a line to the container's log.
func (s *supervisor) logf(format string, arguments ...any) {
	fmt.Fprintf(s.out, "entrypoint: "+format+"\n", arguments...)
}

// run returns the exit status once the agent has ended, or once it is clear that
// it will not be started.
func (s *supervisor) run() (int, error) {
	var err error
	if s.directory, err = rundir.Open(); err != nil {
		return 0, err
	}
	if err := s.claim(); err != nil {
		return 0, err
	}
	if err := s.makeDirectories(); err != nil {
		return 0, err
	}
	if _, err := os.Stat(s.options.AgentBinary); err != nil {
		return 0, fmt.Errorf("find the agent: %w; does the agent image have the agent somewhere else?", err)
	}
	// The agent's start is as much work as its copy, and does not need that.
	delivered := make(chan error, 1)
	go func() { delivered <- s.deliverAgent() }()
	err = s.prepareAgent()
	if err := errors.Join(<-delivered, err); err != nil {
		return 0, err
	}
	s.phases.Prepared = s.elapsed()

	return s.loop()
}

// loop handles what happens, one thing after the other.
func (s *supervisor) loop() (int, error) {
	s.watch = s.directory.Watch()
	defer s.watch.Close()
	awaited := s.awaited()
	s.logf("held until %d containers have started: %s", len(awaited), list(awaited))
	limit := time.NewTimer(s.options.HoldTimeout)
	defer limit.Stop()

	for {
		var ended, cancelled <-chan struct{}
		if s.agent != nil {
			ended, cancelled = s.agent.Done(), s.output.cancelled
		}
		select {
		case <-s.watch.Changed:
			s.look()
		case id := <-s.released:
			s.onReleased(id)
		case id := <-s.settled:
			s.onSettled(id)
		case sig := <-s.signals:
			s.onSignal(sig)
		case <-cancelled:
			s.giveUpWaiting()
		case <-limit.C:
			s.onHoldTimeout()
		case <-s.late:
			s.onLate()
		case <-ended:
			return s.onAgentEnd(), nil
		}
		if err := s.proceed(); err != nil {
			return 0, err
		}
		switch {
		case s.taking:
		case s.stopping:
			s.logf("stopped before the agent took a job")

			return 128 + int(syscall.SIGTERM), nil
		case s.failure != nil:
			return 0, errors.New(s.failure.oneLine())
		}
	}
}

// look reacts to a change of the directory.
func (s *supervisor) look() {
	s.noteStarted()
	if s.taking && s.runner == nil && s.directory.Exists(rundir.Socket) {
		s.attach()
	}
	if s.runner != nil && len(s.absent()) == 0 {
		// There is nothing left to wait for here.
		s.watch.Close()
	}
}

// proceed lets the agent take the job when it is time: every container is there that it
// waits for, or one never will be and the job has to be told.
func (s *supervisor) proceed() error {
	complete := len(s.awaited()) == 0 && s.unsettled == 0 && s.failure == nil
	hopeless := s.failure != nil && !s.options.queueMode()
	if s.taking || s.stopping || !complete && !hopeless {
		return nil
	}

	return s.letAgentGo()
}

func (s *supervisor) onSignal(sig os.Signal) {
	if process.Stops(sig) {
		if !s.stopping && s.runner != nil {
			s.reportStop()
		}
		s.stopping = true
		s.endAbsent()
	}
	if s.taking {
		s.agent.Signal(sig)
	}
}

// onHoldTimeout gives up waiting for containers.
func (s *supervisor) onHoldTimeout() {
	missing := s.awaited()
	if s.taking || len(missing) == 0 {
		return
	}
	s.fail(failure{status: statusNeverStarted, title: "The pod never started completely", text: neverStartedText(missing, s.options.HoldTimeout)})
}

// onLate ends the job if a container is still not there that the agent did not wait for.
func (s *supervisor) onLate() {
	missing := s.absent()
	if s.stopping || len(missing) == 0 {
		return
	}
	s.fail(failure{status: statusNeverStarted, title: "The pod never started completely", text: lateText(missing, s.options.AssuredTimeout)})
}

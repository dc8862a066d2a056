package state

import (
	"errors"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// store is a Store with shorthands for tests.
type store struct {
	*Store
	t *testing.T
}

func newStore(t *testing.T, options Options) *store {
	t.Helper()
	options.PublicURL = "http://simulator.test"
	return &store{Store: New(options), t: t}
}

// build makes a build of pipeline text.
func (s *store) build(text string) Build {
	s.t.Helper()
	return s.buildOf(NewBuild{}, text)
}

func (s *store) buildOf(request NewBuild, text string) Build {
	s.t.Helper()
	parsed, err := pipeline.Read([]byte(text), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Pipeline = parsed
	build, err := s.CreateBuild(request)
	if err != nil {
		s.t.Fatal(err)
	}
	return build
}

// agent registers and connects an agent.
func (s *store) agent(tags ...string) Agent {
	s.t.Helper()
	return s.agentWith("agent-token", tags...)
}

func (s *store) agentWith(token string, tags ...string) Agent {
	s.t.Helper()
	identity, ok := s.Identify(token)
	if !ok {
		s.t.Fatalf("no token %q", token)
	}
	agent, _, err := s.Register(identity, NewAgent{Name: "tester", Tags: tags})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Connect(agent.UUID)
	return agent
}

// run has an agent of its own acquire, start and finish a job.
func (s *store) run(job Job, status string) {
	s.t.Helper()
	agent := s.agent(job.Rules...)
	s.begin(agent, job)
	s.must(s.Finish(job.UUID, Finish{ExitStatus: status}))
}

// begin has an agent acquire and start a job.
func (s *store) begin(agent Agent, job Job) {
	s.t.Helper()
	_, err := s.Acquire(agent.UUID, job.UUID)
	s.must(err)
	s.must(s.Start(job.UUID))
}

func (s *store) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// refused fails the test unless err is a Problem with that status.
func (s *store) refused(err error, status int) {
	s.t.Helper()
	var problem *Problem
	if !errors.As(err, &problem) || problem.Status != status {
		s.t.Fatalf("want a %d, have %v", status, err)
	}
}

// states returns the states of a build's jobs, in order: "finished|waiting".
func (s *store) states(build Build) string {
	s.t.Helper()
	now, ok := s.Build(build.UUID)
	if !ok {
		s.t.Fatalf("no build %s", build.UUID)
	}
	var states []string
	for _, job := range now.Jobs {
		states = append(states, string(job.State))
	}
	return strings.Join(states, "|")
}

// state returns a job's state.
func (s *store) state(job Job) State {
	s.t.Helper()
	now, ok := s.Job(job.UUID)
	if !ok {
		s.t.Fatalf("no job %s", job.UUID)
	}
	return now.State
}

//go:build linux

package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/runner"
)

// connectTimeout bounds the wait for somebody to listen on a socket that exists.
const connectTimeout = 5 * time.Second

// attach takes up contact with the job that the agent has started, and lets the
// wrapped containers go or ends the job.
func (s *supervisor) attach() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	client, err := runner.Dial(ctx, s.directory.Path(rundir.Socket))
	if err != nil {
		if s.directory.Exists(rundir.Socket) {
			// Without the socket the job can neither be run nor be ended from
			// here; the agent ends it when it is stopped.
			s.logf("%v", err)
			s.agent.Signal(syscall.SIGTERM)
		}

		return
	}
	s.runner = client
	s.phases.Acquired = s.elapsed()
	s.logf("the agent has a job after %.1f s", s.phases.Acquired.Seconds())
	if err := client.WriteLogs(s.openingGroup()); err != nil {
		s.logf("%v", err)
	}
	if s.failure != nil {
		s.reportFailure()

		return
	}
	s.admit()
	if s.stopping {
		s.endAbsent()
	}
}

// admit lets the containers go if this pod is one that the job can run in.
func (s *supervisor) admit() {
	job, err := s.readJob()
	if err != nil {
		s.fail(failure{status: statusBroken, title: "The job's environment cannot be read", text: err.Error()})

		return
	}
	if reason := job.wrongPod(); reason != "" && s.options.queueMode() && !s.options.IgnoreJobPodSpec {
		s.fail(failure{status: statusWrongPod, title: "This pod cannot run this job", text: reason})

		return
	}
	if err := s.letGo(job); err != nil {
		s.fail(failure{status: statusBroken, title: "The containers cannot be told to run", text: err.Error()})
	}
}

// letGo publishes the job's command and opens the gate.
func (s *supervisor) letGo(job jobEnvironment) error {
	s.openJobFiles()
	if command, ok := job["BUILDKITE_COMMAND"]; ok {
		if err := s.directory.Write(rundir.Command, []byte(command)); err != nil {
			return err
		}
	}
	if err := s.directory.Write(rundir.Go, nil); err != nil {
		return err
	}
	s.gate.Release()

	return nil
}

// jobEnvironment is the job's environment as Buildkite sent it.
type jobEnvironment map[string]string

// jobEnvironmentLimit bounds the file that is read; Buildkite's own limit on a
// job's environment is far below.
const jobEnvironmentLimit = 16 << 20

// readJob reads the file that the agent writes before it starts a job. A job
// that it could not start leaves its file behind, so the newest counts.
func (s *supervisor) readJob() (jobEnvironment, error) {
	paths, err := filepath.Glob(s.directory.Path("job-env-json-*"))
	if err != nil {
		return nil, err
	}
	var newest string
	var written time.Time
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err == nil && info.ModTime().After(written) {
			newest, written = path, info.ModTime()
		}
	}
	if newest == "" {
		return nil, errors.New("the agent left no file job-env-json-* in its job context directory; is its version supported?")
	}
	contents, err := s.directory.Read(filepath.Base(newest), jobEnvironmentLimit)
	if err != nil {
		return nil, err
	}
	var job jobEnvironment
	if err := json.Unmarshal(contents, &job); err != nil {
		return nil, fmt.Errorf("read %s: %w", newest, err)
	}

	return job, nil
}

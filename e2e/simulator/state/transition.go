package state

import (
	"strconv"
	"time"
)

// Acquired is a job as its agent gets it.
type Acquired struct {
	Job
	// Env includes what depends on the agent.
	Env map[string]string
	// Token is the job's own.
	Token string
}

// take makes a the agent of j, by acquire or by accept.
func (s *Store) take(j *job, a *agent) Acquired {
	s.give(j, a)
	j.state, j.acceptedAt, j.deadline = Accepted, time.Now(), time.Time{}
	s.changed(j)
	j.token = newToken("job")
	s.tokens[j.token] = Identity{Kind: JobToken, AgentUUID: a.uuid, JobUUID: j.uuid}
	return Acquired{Job: j.snapshot(), Env: j.agentEnvironment(), Token: j.token}
}

// Start marks an accepted job running. Anything else is a 422.
func (s *Store) Start(jobUUID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return notFound("No job found")
	}
	var err error
	if j.state != Accepted {
		err = unprocessable("job %s is %s: only accepted jobs can be started", j.uuid, j.state)
	}
	s.oracle.attempt(jobUUID, EventStart, j.agent, err)
	if err != nil {
		return err
	}
	j.state, j.startedAt = Running, time.Now()
	s.changed(j)
	if j.step.Timeout > 0 {
		j.deadline = j.startedAt.Add(j.step.Timeout)
	}
	return nil
}

// Finish is how an agent says that a job ended.
type Finish struct {
	// ExitStatus is a number as text, as the agent sends it.
	ExitStatus           string
	Signal, SignalReason string
	// IgnoreAgent takes the agent out of dispatch by ping.
	IgnoreAgent bool
}

// Finish ends a job that an agent has. It is a 422 when the job has ended
// already, was never acquired, or the status is no number.
func (s *Store) Finish(jobUUID string, request Finish) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return notFound("No job found")
	}
	status, parseError := strconv.Atoi(request.ExitStatus)
	var err error
	switch {
	case parseError != nil:
		err = unprocessable("exit_status %q is not a whole number", request.ExitStatus)
	case !j.state.WithAgent():
		err = unprocessable("job %s is %s: it cannot be finished", j.uuid, j.state)
	}
	s.oracle.finish(j, request, status, err)
	if err != nil {
		return err
	}
	if request.IgnoreAgent && j.agent != nil {
		j.agent.ignore = true
	}
	s.end(j, status, request.Signal, request.SignalReason)
	return nil
}

// end puts a job that an agent had into its last state.
func (s *Store) end(j *job, status int, signal, reason string) {
	switch j.state {
	case Canceling:
		j.state = Canceled
	case TimingOut:
		j.state = TimedOut
	default:
		j.state = Finished
	}
	j.exitStatus, j.signal, j.signalReason = &status, signal, reason
	j.finishedAt, j.deadline = time.Now(), time.Time{}
	s.changed(j)
	j.release()
	s.retryAutomatically(j)
	s.advance(j.build)
}

// Cancel ends a job that no agent has and asks the agent of another to end it.
// It is a 422 when the job has ended.
func (s *Store) Cancel(jobUUID, by string) (Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok || j.kind() != TypeCommand {
		return Job{}, notFound("No job found")
	}
	if j.state.Ended() {
		return Job{}, unprocessable("job %s is %s already and cannot be canceled", j.uuid, j.state)
	}
	s.cancel(j, by)
	s.advance(j.build)
	return j.snapshot(), nil
}

func (s *Store) cancel(j *job, by string) {
	now := time.Now()
	if j.canceledAt.IsZero() {
		j.canceledAt = now
		s.oracle.note(j.uuid, Event{Kind: EventCancel, Agent: by, Accepted: true})
	}
	switch {
	case j.state == Canceling:
	case j.state.WithAgent():
		j.state, j.deadline = Canceling, now.Add(s.options.CancelGrace)
	default:
		j.release()
		j.state, j.finishedAt, j.deadline = Canceled, now, time.Time{}
	}
	s.changed(j)
}

// CancelBuild cancels every job of a build that has not ended. It is a 422 when
// the build has ended.
func (s *Store) CancelBuild(uuid, by string) (Build, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buildByUUID[uuid]
	if !ok {
		return Build{}, notFound("No build found")
	}
	if state := b.state(); state.Ended() {
		return Build{}, unprocessable("build %d is %s already and cannot be canceled", b.number, state)
	}
	b.canceled, b.canceledAt = true, time.Now()
	for _, j := range b.jobs {
		if !j.state.Ended() {
			s.cancel(j, by)
		}
	}
	return b.snapshot(true), nil
}

// PromiseFailure notes that a running job says it will fail.
func (s *Store) PromiseFailure(jobUUID string, status int, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	switch {
	case !ok:
		return notFound("No job found")
	case status == 0:
		return unprocessable("a promised failure needs an exit_status other than 0")
	case !j.state.WithAgent():
		return unprocessable("job %s is %s", j.uuid, j.state)
	}
	s.oracle.note(jobUUID, Event{Kind: EventPromise, Accepted: true, ExitStatus: strconv.Itoa(status), Message: reason})
	return nil
}

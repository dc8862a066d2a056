package state

import "time"

// Ping returns what an agent shall do, and the job to accept if there is one. A
// job that was given and not yet accepted is given again.
func (s *Store) Ping(agentUUID string) (action, jobUUID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.agentByUUID[agentUUID]
	if !ok {
		return "disconnect", ""
	}
	if a.action != "" {
		return a.action, ""
	}
	if a.job != nil && a.job.state == Assigned {
		return "", a.job.uuid
	}
	if a.ignore || a.job != nil || a.connection != AgentConnected {
		return "idle", ""
	}
	j := s.next(a)
	if j == nil {
		return "idle", ""
	}
	now := time.Now()
	j.state, j.assignedAt, j.deadline = Assigned, now, now.Add(s.options.AssignTimeout)
	s.give(j, a)
	s.changed(j)
	s.oracle.note(j.uuid, Event{Kind: EventAssigned, Agent: a.name, AgentUUID: a.uuid, Accepted: true})
	return "", j.uuid
}

// next returns the job for an agent: the oldest of the highest priority whose
// rules the agent satisfies and whose queue is not paused.
func (s *Store) next(a *agent) *job {
	var best *job
	for _, j := range s.openJobs() { // oldest first
		if j.state != Scheduled || j.build.cluster != a.cluster || (j.queue != nil && j.queue.paused) {
			continue
		}
		if (best == nil || j.priority > best.priority) && a.matches(j.rules) {
			best = j
		}
	}
	return best
}

// give ties a job and an agent together.
func (s *Store) give(j *job, a *agent) {
	if j.agent != nil && j.agent != a && j.agent.job == j {
		j.agent.job = nil
	}
	s.assignments++
	j.agent, j.assignment = a, s.assignments
	a.job = j
}

// release frees the agent of a job that it is done with.
func (j *job) release() {
	if j.agent != nil && j.agent.job == j {
		j.agent.job = nil
	}
}

// Acquire gives a job to the agent that asks for it by name.
//
// Problems: 404 no such job in the agent's cluster; 423 it waits for others;
// 422 it cannot be acquired, or the agent's tags do not suit it.
func (s *Store) Acquire(agentUUID, jobUUID string) (Acquired, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agentByUUID[agentUUID]
	j := s.jobByUUID[jobUUID]
	err := s.acquirable(a, j)
	s.oracle.attempt(jobUUID, EventAcquire, a, err)
	if err != nil {
		return Acquired{}, err
	}
	return s.take(j, a), nil
}

func (s *Store) acquirable(a *agent, j *job) error {
	switch {
	case a == nil:
		return unauthorized("unknown agent")
	case j == nil || j.kind() != TypeCommand || j.build.cluster != a.cluster:
		return notFound("No job found")
	case j.state == Waiting:
		return &Problem{Status: 423, Message: "job " + j.uuid + " waits for other jobs", RetryAfter: 2 * time.Second}
	case j.state != Scheduled && j.state != Assigned:
		return unprocessable("job %s is %s: only scheduled jobs can be acquired", j.uuid, j.state)
	case !a.matches(j.rules):
		return unprocessable("agent %s has tags %v, job %s wants %v", a.name, a.tags, j.uuid, j.rules)
	case a.job != nil && a.job != j:
		return unprocessable("agent %s has job %s already", a.name, a.job.uuid)
	default:
		return nil
	}
}

// Accept confirms a job that a ping gave the agent. It is a 422 when the job is
// not, or no longer, the agent's to accept.
func (s *Store) Accept(agentUUID, jobUUID string) (Acquired, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agentByUUID[agentUUID]
	j := s.jobByUUID[jobUUID]
	var err error
	switch {
	case a == nil:
		err = unauthorized("unknown agent")
	case j == nil:
		err = notFound("No job found")
	case j.state != Assigned || j.agent != a:
		err = unprocessable("job %s is %s and not assigned to agent %s", j.uuid, j.state, a.name)
	}
	s.oracle.attempt(jobUUID, EventAccept, a, err)
	if err != nil {
		return Acquired{}, err
	}
	return s.take(j, a), nil
}

package state

import "time"

// Reasons that Buildkite itself gives for the end of a job. There is none for a
// lost agent: such a job has the exit status -1 and no reason, and that is how
// retry rules tell it from one whose agent was stopped.
const (
	reasonCancel    = "cancel"
	reasonAgentStop = "agent_stop"
)

// Sweep does what happens by the passing of time: agents that are silent too
// long are lost, jobs run into their limits. Call it about once a second.
func (s *Store) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, a := range s.agents {
		if a.connection == AgentConnected && now.Sub(a.heardAt) > s.options.HeartbeatTimeout {
			s.lose(a)
		}
	}
	for _, j := range s.openJobs() {
		if j.deadline.IsZero() || now.Before(j.deadline) {
			continue
		}
		s.expire(j, now)
	}
}

func (s *Store) lose(a *agent) {
	a.connection, a.lostAt = AgentLost, time.Now()
	s.abandon(a, "")
}

// abandon takes the job away from an agent that is gone. What the agent had
// begun has failed, for reason; what it had not even accepted goes to another.
func (s *Store) abandon(a *agent, reason string) {
	j := a.job
	if j == nil {
		return
	}
	s.oracle.note(j.uuid, Event{Kind: EventLost, Agent: a.name, AgentUUID: a.uuid, Accepted: true})
	if j.state == Assigned {
		s.reschedule(j)
		return
	}
	s.end(j, -1, "", reason)
}

func (s *Store) reschedule(j *job) {
	j.release()
	j.state, j.agent, j.assignedAt = Scheduled, nil, time.Time{}
	j.deadline = j.createdAt.Add(s.options.ScheduledExpiry)
	s.changed(j)
}

// expire handles a job whose state's time is over.
func (s *Store) expire(j *job, now time.Time) {
	switch j.state {
	case Scheduled:
		j.state, j.expiredAt, j.finishedAt, j.deadline = Expired, now, now, time.Time{}
		s.changed(j)
		s.oracle.note(j.uuid, Event{Kind: EventExpired, Accepted: true})
		s.advance(j.build)
	case Assigned:
		s.reschedule(j)
	case Running:
		j.state, j.deadline = TimingOut, now.Add(s.options.CancelGrace)
		s.changed(j)
		s.oracle.note(j.uuid, Event{Kind: EventTimeout, Accepted: true})
	case Canceling, TimingOut:
		s.oracle.note(j.uuid, Event{Kind: EventGraceOver, Accepted: true})
		s.end(j, -1, "", reasonCancel)
	default:
		j.deadline = time.Time{}
	}
}

package state

import "time"

// Reasons that Buildkite itself gives for the end of a job.
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
			a.connection = AgentLost
			s.abandon(a)
		}
	}
	for _, j := range s.jobs {
		if j.deadline.IsZero() || now.Before(j.deadline) {
			continue
		}
		s.expire(j, now)
	}
}

// abandon takes the job away from an agent that is gone. What the agent had
// begun has failed; what it had not even accepted goes to another.
func (s *Store) abandon(a *agent) {
	j := a.job
	if j == nil {
		return
	}
	s.oracle.note(j.uuid, Event{Kind: EventLost, Agent: a.name, AgentUUID: a.uuid, Accepted: true})
	if j.state == Assigned {
		s.reschedule(j)
		return
	}
	s.end(j, -1, "", reasonAgentStop)
}

func (s *Store) reschedule(j *job) {
	j.release()
	j.state, j.agent, j.assignedAt, j.deadline = Scheduled, nil, time.Time{}, time.Time{}
}

// expire handles a job whose state's time is over.
func (s *Store) expire(j *job, now time.Time) {
	switch j.state {
	case Assigned:
		s.reschedule(j)
	case Running:
		j.state, j.deadline = TimingOut, now.Add(s.options.CancelGrace)
		s.oracle.note(j.uuid, Event{Kind: EventTimeout, Accepted: true})
	case Canceling, TimingOut:
		s.oracle.note(j.uuid, Event{Kind: EventGraceOver, Accepted: true})
		s.end(j, -1, "", reasonCancel)
	default:
		j.deadline = time.Time{}
	}
}

package state

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// EventKind names what happened to a job.
type EventKind string

// Kinds of events.
const (
	EventCreated   EventKind = "created"
	EventAssigned  EventKind = "assigned"
	EventAcquire   EventKind = "acquire"
	EventAccept    EventKind = "accept"
	EventStart     EventKind = "start"
	EventFinish    EventKind = "finish"
	EventCancel    EventKind = "cancel"
	EventTimeout   EventKind = "timeout"
	EventLost      EventKind = "agent_lost"
	EventGraceOver EventKind = "grace_over"
	EventPromise   EventKind = "promised_failure"
	EventExpired   EventKind = "expired"
	EventRetried   EventKind = "retried"
	// EventFault is a fault that was asked for: the answer to a request about the
	// job was lost or spoilt.
	EventFault EventKind = "fault"
)

// maxEvents bounds the events kept for one job; counters go on counting.
const maxEvents = 200

// Event is one thing that happened to a job, or that somebody tried.
type Event struct {
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	// Accepted is false when the attempt was refused; Status and Message say how.
	Accepted bool   `json:"accepted"`
	Status   int    `json:"status,omitempty"`
	Message  string `json:"message,omitempty"`
	// Agent is the agent's name, or who else did it.
	Agent     string `json:"agent,omitempty"`
	AgentUUID string `json:"agent_uuid,omitempty"`

	ExitStatus   string `json:"exit_status,omitempty"`
	Signal       string `json:"signal,omitempty"`
	SignalReason string `json:"signal_reason,omitempty"`
}

// Record is everything that happened to one job.
type Record struct {
	JobUUID string `json:"job_uuid"`
	// AcquireAttempts counts acquire requests, successful ones included.
	AcquireAttempts int `json:"acquire_attempts"`
	// Acquisitions counts successful acquires and accepts.
	Acquisitions int `json:"acquisitions"`
	Starts       int `json:"starts"`
	// Finishes counts accepted finishes, FinishAttempts all.
	Finishes       int `json:"finishes"`
	FinishAttempts int `json:"finish_attempts"`
	Cancels        int `json:"cancels"`
	// Faults counts answers about the job that a scripted fault lost or spoilt.
	Faults int `json:"faults,omitempty"`
	// Retries counts jobs that took this one's place; more than one is wrong.
	Retries int     `json:"retries,omitempty"`
	Events  []Event `json:"events"`

	endedWithoutAgent bool
}

// oracle keeps a record of every job. It watches what is asked and answered and
// does not ask the state machine, so that it can catch it out.
type oracle struct {
	records map[string]*Record
	order   []*Record          // oldest first
	wrong   map[string]*Record // those with violations
	totals  Totals
}

// Totals are sums over all jobs.
type Totals struct {
	Jobs            int `json:"jobs"`
	AcquireAttempts int `json:"acquire_attempts"`
	Acquired        int `json:"acquired"`
	Started         int `json:"started"`
	Finished        int `json:"finished"`
	Retried         int `json:"retried"`
	Lost            int `json:"lost"`
	Expired         int `json:"expired"`
	Faults          int `json:"faults"`
}

func newOracle() oracle {
	return oracle{records: map[string]*Record{}, wrong: map[string]*Record{}}
}

func (o *oracle) record(jobUUID string) *Record {
	r, ok := o.records[jobUUID]
	if !ok {
		r = &Record{JobUUID: jobUUID}
		o.records[jobUUID] = r
		o.order = append(o.order, r)
		o.totals.Jobs++
	}
	return r
}

func (o *oracle) note(jobUUID string, event Event) {
	r := o.record(jobUUID)
	event.At = time.Now()
	if len(r.Events) < maxEvents {
		r.Events = append(r.Events, event)
	}
	o.count(r, event)
	if len(r.violations()) > 0 {
		o.wrong[jobUUID] = r
	} else {
		delete(o.wrong, jobUUID)
	}
}

func (o *oracle) count(r *Record, event Event) {
	t := &o.totals
	switch event.Kind {
	case EventAcquire:
		increment(&r.AcquireAttempts, &t.AcquireAttempts)
	case EventFinish:
		r.FinishAttempts++
	case EventCancel:
		r.Cancels++
	case EventLost:
		r.endedWithoutAgent = true
		t.Lost++
	case EventGraceOver:
		r.endedWithoutAgent = true
	case EventExpired:
		t.Expired++
	case EventFault:
		increment(&r.Faults, &t.Faults)
	case EventRetried:
		increment(&r.Retries, &t.Retried)
	}
	if !event.Accepted {
		return
	}
	switch event.Kind {
	case EventAcquire, EventAccept:
		increment(&r.Acquisitions, &t.Acquired)
	case EventStart:
		increment(&r.Starts, &t.Started)
	case EventFinish:
		increment(&r.Finishes, &t.Finished)
	}
}

func increment(counters ...*int) {
	for _, counter := range counters {
		*counter++
	}
}

// attempt notes a request and its answer. Requests for jobs that do not exist
// are not kept, or anybody could fill the memory.
func (o *oracle) attempt(jobUUID string, kind EventKind, a *agent, err error) {
	if _, known := o.records[jobUUID]; !known {
		return
	}
	o.note(jobUUID, answered(Event{Kind: kind}, a, err))
}

func (o *oracle) finish(j *job, request Finish, status int, err error) {
	event := Event{Kind: EventFinish, ExitStatus: request.ExitStatus, Signal: request.Signal, SignalReason: request.SignalReason}
	if err == nil {
		event.ExitStatus = fmt.Sprint(status)
	}
	o.note(j.uuid, answered(event, j.agent, err))
}

func answered(event Event, a *agent, err error) Event {
	event.Accepted, event.Status = err == nil, http.StatusOK
	if a != nil {
		event.Agent, event.AgentUUID = a.name, a.uuid
	}
	if problem, ok := errors.AsType[*Problem](err); ok {
		event.Status, event.Message = problem.Status, problem.Message
	}
	return event
}

// violations returns what must never happen to the job.
func (r *Record) violations() []string {
	var result []string
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			result = append(result, fmt.Sprintf("job %s: ", r.JobUUID)+fmt.Sprintf(format, args...))
		}
	}
	add(r.Acquisitions > 1, "acquired %d times", r.Acquisitions)
	add(r.Starts > 1, "started %d times", r.Starts)
	add(r.Starts > r.Acquisitions, "started without having been acquired")
	add(r.Finishes > 1, "finished %d times", r.Finishes)
	add(r.Finishes > r.Acquisitions, "finished without having been acquired")
	add(r.Retries > 1, "retried %d times", r.Retries)
	// Once we have ended a job ourselves its agent does not know yet and may say
	// so, and after a lost answer it says the same again.
	add(r.FinishAttempts > 1+r.Faults && !r.endedWithoutAgent, "finish was sent %d times", r.FinishAttempts)
	return result
}

// NoteFault tells the oracle that the answer to a request about a job was lost
// or spoilt on purpose, so that what the agent does twice is not held against it.
func (s *Store) NoteFault(jobUUID, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.oracle.records[jobUUID]; known {
		s.oracle.note(jobUUID, Event{Kind: EventFault, Accepted: true, Message: what})
	}
}

// Record returns what happened to one job.
func (s *Store) Record(jobUUID string) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.oracle.records[jobUUID]
	if !ok {
		return Record{}, false
	}
	return r.snapshot(), true
}

func (r *Record) snapshot() Record {
	result := *r
	result.Events = slices.Clone(r.Events)
	return result
}

func sortedKeys[V any](values map[string]V) []string {
	return slices.Sorted(maps.Keys(values))
}

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
	Finishes       int     `json:"finishes"`
	FinishAttempts int     `json:"finish_attempts"`
	Cancels        int     `json:"cancels"`
	Events         []Event `json:"events"`

	endedWithoutAgent bool
}

// oracle keeps a record of every job. It watches what is asked and answered and
// does not ask the state machine, so that it can catch it out.
type oracle struct {
	records map[string]*Record
}

func (o *oracle) record(jobUUID string) *Record {
	r, ok := o.records[jobUUID]
	if !ok {
		r = &Record{JobUUID: jobUUID}
		o.records[jobUUID] = r
	}
	return r
}

func (o *oracle) note(jobUUID string, event Event) {
	r := o.record(jobUUID)
	event.At = time.Now()
	if len(r.Events) < maxEvents {
		r.Events = append(r.Events, event)
	}
	switch event.Kind {
	case EventAcquire:
		r.AcquireAttempts++
	case EventFinish:
		r.FinishAttempts++
	case EventCancel:
		r.Cancels++
	case EventLost, EventGraceOver:
		r.endedWithoutAgent = true
	}
	if !event.Accepted {
		return
	}
	switch event.Kind {
	case EventAcquire, EventAccept:
		r.Acquisitions++
	case EventStart:
		r.Starts++
	case EventFinish:
		r.Finishes++
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
	// Once we have ended a job ourselves its agent does not know yet and may say so.
	add(r.FinishAttempts > 1 && !r.endedWithoutAgent, "finish was sent %d times", r.FinishAttempts)
	return result
}

// Report is what the oracle has to say about all jobs.
type Report struct {
	// Violations are sentences about what must never happen.
	Violations []string `json:"violations"`
	// Unfinished are jobs that an agent took and that have not ended.
	Unfinished []string `json:"unfinished"`
	// Records are by job, oldest first.
	Records []Record `json:"records"`
}

// Report returns the oracle's view of all jobs.
func (s *Store) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	report := Report{Violations: []string{}, Unfinished: []string{}}
	for _, uuid := range sortedKeys(s.oracle.records) { // UUIDs begin with the time
		r := s.oracle.records[uuid]
		report.Violations = append(report.Violations, r.violations()...)
		if j, ok := s.jobByUUID[uuid]; ok && r.Acquisitions > 0 && !j.state.Ended() {
			report.Unfinished = append(report.Unfinished, uuid)
		}
		report.Records = append(report.Records, r.snapshot())
	}
	return report
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

package fault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// APIs of Buildkite.
const (
	GraphQL = "graphql"
	Agent   = "agent"
	REST    = "rest"
)

// Kind says what a fault does.
type Kind string

// Kinds of faults. The first group answers in place of the API, which then knows
// nothing of the request unless CarryOut is set.
const (
	// Status answers with Status, Headers and Body.
	Status Kind = "status"
	// Unauthorized answers 401 as Buildkite does to a token that is revoked or
	// expired.
	Unauthorized Kind = "unauthorized"
	// Garbage answers 200 with bytes that are no JSON, or with Body.
	Garbage Kind = "garbage"
	// Bomb answers 200 with a few kilobytes of gzip that are 128 MiB of zeros.
	Bomb Kind = "bomb"
	// Reset resets the connection without an answer.
	Reset Kind = "reset"
	// Hang keeps the connection open and never answers.
	Hang Kind = "hang"

	// Delay passes the request on after DelayMilliseconds; every other kind waits
	// as long before it does its work.
	Delay Kind = "delay"
	// Slow sends the true answer in small pieces over DelayMilliseconds.
	Slow Kind = "slow"
	// Truncate breaks the connection in the middle of the true answer.
	Truncate Kind = "truncate"
	// Cut sends half of the true answer as if it were the whole.
	Cut Kind = "cut"

	// DuplicateEdges repeats the first and the last edge of every page.
	DuplicateEdges Kind = "duplicate-edges"
	// Vanish leaves Jobs out of every page, or its first edge if none are named,
	// and out of its count.
	Vanish Kind = "vanish"
	// Partial replaces every second node by null, or without nodes the first
	// field, and adds an error.
	Partial Kind = "partial"
	// Errors replaces all data by null and adds an error, with status 200.
	Errors Kind = "errors"
	// Set gives the fields of the name Field, wherever they are, the value Value.
	Set Kind = "set"
	// UnknownEnum is Set of state to a value that nobody knows yet.
	UnknownEnum Kind = "unknown-enum"
	// QueuePaused is Set of dispatchPaused to true.
	QueuePaused Kind = "queue-paused"
)

var kinds = []Kind{
	Status, Unauthorized, Garbage, Bomb, Reset, Hang, Delay, Slow, Truncate, Cut,
	DuplicateEdges, Vanish, Partial, Errors, Set, UnknownEnum, QueuePaused,
}

// Fault is an entry of the script.
type Fault struct {
	// ID is given by the script.
	ID string `json:"id,omitempty"`
	// API is GraphQL, Agent or REST.
	API string `json:"api"`
	// Operation is a pattern of path.Match for the requests that it is about: the
	// name of a GraphQL operation ("scheduled*"), or method and path of the others
	// ("PUT /v3/jobs/*/acquire"). Empty is all.
	Operation string `json:"operation,omitempty"`
	Kind      Kind   `json:"kind"`
	// Count is how often it happens; 0 is until it is removed. Skip lets the first
	// requests pass; Probability, if not 0, spoils only that share of the others.
	Count       int     `json:"count,omitempty"`
	Skip        int     `json:"skip,omitempty"`
	Probability float64 `json:"probability,omitempty"`

	DelayMilliseconds int `json:"delay_milliseconds,omitempty"`
	// Status is the HTTP status. Default 500.
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	// CarryOut has the request carried out before its answer is lost.
	CarryOut bool `json:"carry_out,omitempty"`
	// Jobs are UUIDs, for Vanish.
	Jobs  []string        `json:"jobs,omitempty"`
	Field string          `json:"field,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`

	// Seen counts requests that it is about, Hits those whose answer it changed.
	Seen int `json:"seen"`
	Hits int `json:"hits"`
}

// check fills in defaults and refuses what makes no sense, as a Problem.
func (f *Fault) check() error {
	refuse := func(format string, args ...any) error {
		return &state.Problem{Status: http.StatusUnprocessableEntity, Message: "fault: " + fmt.Sprintf(format, args...)}
	}
	if !slices.Contains([]string{GraphQL, Agent, REST}, f.API) {
		return refuse("unknown api %q; know graphql, agent and rest", f.API)
	}
	if !slices.Contains(kinds, f.Kind) {
		return refuse("unknown kind %q; know %v", f.Kind, kinds)
	}
	if _, err := path.Match(f.Operation, ""); err != nil {
		return refuse("operation %q is not a pattern", f.Operation)
	}
	if f.Count < 0 || f.Skip < 0 || f.DelayMilliseconds < 0 || f.Probability < 0 || f.Probability > 1 {
		return refuse("count, skip and delay_milliseconds must not be negative, probability between 0 and 1")
	}
	switch f.Kind {
	case Status:
		if f.Status == 0 {
			f.Status = http.StatusInternalServerError
		}
		if f.Status < 200 || f.Status > 599 {
			return refuse("status %d is not between 200 and 599", f.Status)
		}
	case Set:
		if f.Field == "" || !json.Valid(f.Value) {
			return refuse("set needs field and value")
		}
	case UnknownEnum:
		f.setDefault("state", `"HIBERNATING"`)
	case QueuePaused:
		f.setDefault("dispatchPaused", "true")
	case Delay, Slow:
		if f.DelayMilliseconds == 0 {
			return refuse("%s needs delay_milliseconds", f.Kind)
		}
	}
	return nil
}

func (f *Fault) setDefault(field, value string) {
	if f.Field == "" {
		f.Field = field
	}
	if len(f.Value) == 0 {
		f.Value = json.RawMessage(value)
	}
}

// about reports whether the fault is about a request.
func (f *Fault) about(api, operation string) bool {
	if f.API != api || (f.Count > 0 && f.Hits >= f.Count) {
		return false
	}
	if f.Operation == "" {
		return true
	}
	pattern := f.Operation
	if api != GraphQL && !strings.Contains(pattern, " ") {
		_, operation, _ = strings.Cut(operation, " ") // any method
	}
	matched, _ := path.Match(pattern, operation) // check has parsed it
	return matched
}

package pipeline

import (
	"slices"
	"strconv"
	"strings"
)

// Retry says when a job is run again. The zero value never retries by itself
// and lets people retry what has not passed, as Buildkite does.
// https://buildkite.com/docs/pipelines/configure/retry
type Retry struct {
	// Automatic are tried in order; the first that matches counts.
	Automatic []RetryRule
	Manual    ManualRetry
}

// RetryRule is an entry of retry.automatic.
type RetryRule struct {
	// ExitStatuses match exactly. AnyStatus, written "*", matches 1 to 255 and
	// not -1. A rule with neither, for signal or signal_reason alone, matches
	// every status but 0.
	ExitStatuses []int
	AnyStatus    bool
	// Signals are in lower case without "sig"; "none" is no signal. Empty
	// matches all.
	Signals []string
	// SignalReasons are as the agent sends them; "none" is no reason. Empty
	// matches all.
	SignalReasons []string
	// Limit is how often this rule may retry a job, 0 to 10. Default 2.
	Limit int
}

// Limits of RetryRule.Limit.
const (
	defaultRetryLimit = 2
	maxRetryLimit     = 10
)

// noSignal is how rules name the absence of a signal or of a reason.
const noSignal = "none"

// ManualRetry says whether people may retry a job.
type ManualRetry struct {
	Forbidden      bool
	PermitOnPassed bool
	// Reason is shown when it is forbidden.
	Reason string
}

// Matches reports whether the rule is about a job that ended so.
func (r RetryRule) Matches(status int, signal, reason string) bool {
	return r.matchesStatus(status) &&
		(len(r.Signals) == 0 || slices.Contains(r.Signals, signalName(signal))) &&
		(len(r.SignalReasons) == 0 || slices.Contains(r.SignalReasons, orNone(strings.ToLower(reason))))
}

func (r RetryRule) matchesStatus(status int) bool {
	switch {
	case slices.Contains(r.ExitStatuses, status):
		return true
	case r.AnyStatus:
		return status >= 1 && status <= 255
	default:
		return len(r.ExitStatuses) == 0 && status != 0
	}
}

// signalName makes SIGKILL, kill and Kill the same.
func signalName(signal string) string {
	return orNone(strings.TrimPrefix(strings.ToLower(signal), "sig"))
}

func orNone(text string) string {
	if text == "" {
		return noSignal
	}
	return text
}

// Status returns the rule's exit statuses as it was written: "*" or numbers
// with commas between.
func (r RetryRule) Status() string {
	if r.AnyStatus || len(r.ExitStatuses) == 0 {
		return "*"
	}
	texts := make([]string, 0, len(r.ExitStatuses))
	for _, status := range r.ExitStatuses {
		texts = append(texts, strconv.Itoa(status))
	}
	return strings.Join(texts, ",")
}

// retry reads retry: {automatic: …, manual: …}.
func (f *fields) retry(name string) Retry {
	value := f.take(name)
	if value == nil {
		return Retry{}
	}
	_, values, ok := asMap(value)
	if !ok {
		f.problemf(name, "want automatic, manual or both, have %v", value)
		return Retry{}
	}
	inner := fields{where: f.where + ": " + name, values: values}
	result := Retry{Automatic: inner.automatic("automatic"), Manual: inner.manual("manual")}
	f.adopt(inner)
	return result
}

// adopt makes the problems of a part its own.
func (f *fields) adopt(inner fields) {
	if err := inner.done(); err != nil {
		f.problems = append(f.problems, err.Error())
	}
}

// automatic reads true, false, a rule or a list of rules.
func (f *fields) automatic(name string) []RetryRule {
	value := f.take(name)
	switch value {
	case nil, false, "false":
		return nil
	case true, "true":
		return []RetryRule{{AnyStatus: true, Limit: defaultRetryLimit}}
	}
	var result []RetryRule
	for _, entry := range asList(value) {
		_, values, ok := asMap(entry)
		if !ok {
			f.problemf(name, "want true, false, a rule or a list of rules, have %v", entry)
			continue
		}
		inner := fields{where: f.where + ": " + name, values: values}
		result = append(result, inner.rule())
		f.adopt(inner)
	}
	return result
}

func (f *fields) rule() RetryRule {
	rule := RetryRule{Limit: defaultRetryLimit}
	rule.ExitStatuses, rule.AnyStatus = f.statuses("exit_status")
	for _, signal := range f.names("signal") {
		rule.Signals = append(rule.Signals, signalName(signal))
	}
	rule.SignalReasons = f.names("signal_reason")
	if limit := f.number("limit"); limit != nil {
		rule.Limit = *limit
		if rule.Limit < 0 || rule.Limit > maxRetryLimit {
			f.problemf("limit", "must be 0 to %d", maxRetryLimit)
		}
	}
	if len(rule.Signals)+len(rule.SignalReasons)+len(rule.ExitStatuses) == 0 {
		rule.AnyStatus = true // nothing but a limit: the defaults
	}
	return rule
}

// statuses reads a number, a list of numbers or "*". Numbers may be text.
func (f *fields) statuses(name string) (numbers []int, wildcard bool) {
	for _, entry := range asList(f.take(name)) {
		if entry == "*" {
			wildcard = true
			continue
		}
		inner := fields{where: f.where, values: map[string]any{name: entry}}
		status := inner.number(name)
		f.problems = append(f.problems, inner.problems...)
		switch {
		case status == nil:
		case *status < -1 || *status > 255:
			f.problemf(name, "%d is not an exit status: -1 to 255, or \"*\"", *status)
		default:
			numbers = append(numbers, *status)
		}
	}
	return numbers, wildcard
}

// names reads a text or a list of texts. "*" is the same as leaving it out.
func (f *fields) names(name string) []string {
	var result []string
	for _, entry := range asList(f.take(name)) {
		text, ok := entry.(string)
		if !ok {
			f.problemf(name, "want text or a list of texts, have %v", entry)
			continue
		}
		if text == "*" {
			return nil
		}
		result = append(result, strings.ToLower(text))
	}
	return result
}

// manual reads true, false or {allowed, permit_on_passed, reason}.
func (f *fields) manual(name string) ManualRetry {
	value := f.take(name)
	switch value {
	case nil, true, "true":
		return ManualRetry{}
	case false, "false":
		return ManualRetry{Forbidden: true}
	}
	_, values, ok := asMap(value)
	if !ok {
		f.problemf(name, "want true, false or allowed, permit_on_passed and reason, have %v", value)
		return ManualRetry{}
	}
	inner := fields{where: f.where + ": " + name, values: values}
	result := ManualRetry{PermitOnPassed: inner.flag("permit_on_passed"), Reason: inner.text("reason")}
	if _, set := values["allowed"]; set {
		result.Forbidden = !inner.flag("allowed")
	}
	inner.take("allowed")
	f.adopt(inner)
	return result
}

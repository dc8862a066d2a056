package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadRetry(t *testing.T) {
	cases := map[string]struct {
		text string
		want Retry
	}{
		"nothing":           {`{}`, Retry{}},
		"true":              {`{automatic: true}`, Retry{Automatic: []RetryRule{{AnyStatus: true, Limit: 2}}}},
		"false":             {`{automatic: false, manual: false}`, Retry{Manual: ManualRetry{Forbidden: true}}},
		"one rule":          {`{automatic: {exit_status: 5}}`, Retry{Automatic: []RetryRule{{ExitStatuses: []int{5}, Limit: 2}}}},
		"statuses":          {`{automatic: [{exit_status: [1, "42", -1], limit: 10}, {exit_status: "*", limit: 0}]}`, Retry{Automatic: []RetryRule{{ExitStatuses: []int{1, 42, -1}, Limit: 10}, {AnyStatus: true}}}},
		"limit alone":       {`{automatic: [{limit: 3}]}`, Retry{Automatic: []RetryRule{{AnyStatus: true, Limit: 3}}}},
		"reason alone":      {`{automatic: [{signal_reason: agent_stop}]}`, Retry{Automatic: []RetryRule{{SignalReasons: []string{"agent_stop"}, Limit: 2}}}},
		"signals":           {`{automatic: [{signal: [SIGKILL, int, none], signal_reason: "*"}]}`, Retry{Automatic: []RetryRule{{Signals: []string{"kill", "int", "none"}, Limit: 2}}}},
		"manual in full":    {`{manual: {allowed: false, reason: "it deploys"}}`, Retry{Manual: ManualRetry{Forbidden: true, Reason: "it deploys"}}},
		"manual of passed":  {`{manual: {permit_on_passed: true}}`, Retry{Manual: ManualRetry{PermitOnPassed: true}}},
		"manual is allowed": {`{manual: true}`, Retry{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Read([]byte("steps: [{command: make, retry: "+tc.text+"}]"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Steps[0].Retry); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRetryRefuses(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"not a map":      {`5`, "retry: want automatic, manual or both"},
		"unknown key":    {`{automatically: true}`, "retry: automatically: unknown key"},
		"unknown rule":   {`{automatic: [{status: 5}]}`, "automatic: status: unknown key"},
		"status":         {`{automatic: [{exit_status: many}]}`, "exit_status: want a whole number"},
		"status too big": {`{automatic: [{exit_status: 256}]}`, "256 is not an exit status"},
		"limit":          {`{automatic: [{exit_status: 1, limit: 11}]}`, "limit: must be 0 to 10"},
		"list of words":  {`{automatic: [always]}`, "automatic: want true, false, a rule"},
		"reason":         {`{automatic: [{signal_reason: 5}]}`, "signal_reason: want text"},
		"manual":         {`{manual: 5}`, "manual: want true, false"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read([]byte("steps: [{command: make, retry: "+tc.text+"}]"), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
		})
	}
}

func TestRetryRuleMatches(t *testing.T) {
	cases := map[string]struct {
		rule           RetryRule
		status         int
		signal, reason string
		want           bool
	}{
		"number":                     {RetryRule{ExitStatuses: []int{3}}, 3, "", "", true},
		"another number":             {RetryRule{ExitStatuses: []int{3}}, 4, "", "", false},
		"star":                       {RetryRule{AnyStatus: true}, 255, "", "", true},
		"star and success":           {RetryRule{AnyStatus: true}, 0, "", "", false},
		"star and a lost agent":      {RetryRule{AnyStatus: true}, -1, "", "", false},
		"a lost agent":               {RetryRule{ExitStatuses: []int{-1}, SignalReasons: []string{"none"}}, -1, "", "", true},
		"a stopped agent is not it":  {RetryRule{ExitStatuses: []int{-1}, SignalReasons: []string{"none"}}, -1, "", "agent_stop", false},
		"reason alone":               {RetryRule{SignalReasons: []string{"stack_error"}}, -1, "", "stack_error", true},
		"reason alone, success":      {RetryRule{SignalReasons: []string{"none"}}, 0, "", "", false},
		"signal in other words":      {RetryRule{Signals: []string{"kill"}}, 137, "SIGKILL", "", true},
		"no signal":                  {RetryRule{Signals: []string{"none"}}, 1, "", "", true},
		"no signal, but there was":   {RetryRule{Signals: []string{"none"}}, 1, "SIGTERM", "", false},
		"all conditions":             {RetryRule{ExitStatuses: []int{1}, SignalReasons: []string{"cancel"}}, 2, "", "cancel", false},
		"success, explicitly wanted": {RetryRule{ExitStatuses: []int{0}}, 0, "", "", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.rule.Matches(tc.status, tc.signal, tc.reason); got != tc.want {
				t.Errorf("have %t", got)
			}
		})
	}
}

package dispatcher

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

var update = flag.Bool("update", false, "rewrite the generated pages and tables in docs")

// Marks around what is generated in a page.
const (
	generatedBegin = "<!-- generated: go test ./dispatcher -run TestDocs -update -->\n"
	generatedEnd   = "<!-- end -->\n"
)

// checkGenerated compares a page's generated parts with what they should be.
func checkGenerated(t *testing.T, path string, parts ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, want := string(data), ""
	rest := page
	for _, part := range parts {
		before, after, found := strings.Cut(rest, generatedBegin)
		_, tail, ended := strings.Cut(after, generatedEnd)
		if !found || !ended {
			t.Fatalf("%s lacks the marks around a generated part", path)
		}
		want += before + generatedBegin + part + generatedEnd
		rest = tail
	}
	want += rest
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("go test ./dispatcher -run TestDocs -update rewrites %s (-want +got):\n%s", path, diff)
	}
}

func TestDocsMetrics(t *testing.T) {
	var table strings.Builder
	table.WriteString("| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	for _, d := range append(newMetrics(prometheus.NewRegistry()).defined, budgetDefinitions...) {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(d.labels, ", "), d.help)
	}
	checkGenerated(t, "../docs/metrics.md", table.String(), causeTable())
}

// TestMetricsInThePagesExist: alerts that a page proposes ask for what there is.
func TestMetricsInThePagesExist(t *testing.T) {
	known := map[string]bool{}
	for _, d := range append(newMetrics(prometheus.NewRegistry()).defined, budgetDefinitions...) {
		known[d.name] = true
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bbuildkite_dispatcher_\w+`).FindAllString(string(text), -1) {
			found++
			if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] && name != "buildkite_dispatcher_" {
				t.Errorf("%s: there is no metric %s", page, name)
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d", found)
	}
}

// causeTable lists the values of the labels cause and reason.
func causeTable() string {
	var list strings.Builder
	for _, cause := range allCauses() {
		fmt.Fprintf(&list, "`%s` ", cause)
	}
	return strings.TrimSpace(list.String()) + "\n"
}

// exitNames are the statuses by the constants' order.
var exitNames = []struct {
	status int
	means  string
	// retry is the rule that a pipeline's author may want.
	retry bool
}{
	{ExitRejected, "the job's pod cannot be made, or the cluster will not have it", false},
	{ExitNeverRan, "pods of the job ended several times before an agent took it, or their agent never did", true},
	{ExitImage, "an image could not be pulled: there is none of the name, or the cluster may not have it", false},
	{ExitContainer, "a container could not be set up or started", false},
	{ExitBefore, "an init container or a sidecar failed", false},
	{ExitPending, "the containers did not start in time: no node, a volume that does not come, a pull that takes too long", false},
	{ExitNode, "the node ended the pod before the job began", true},
	{ExitDeadline, "the pod got too old before the job began", false},
	{ExitImagePull, "an image could not be pulled for now: its registry does not answer, or limits how often it may be asked", true},
}

// Sentences in place of a retry rule.
const (
	noRule      = "no rule: somebody has to change something first"
	noRuleAgain = "no rule: it would end the same way again"
)

// retryRule is a rule of a step's, as one line of YAML, for jobs that end so.
func retryRule(status int, signalReason string) string {
	return fmt.Sprintf("`- {exit_status: %d, signal_reason: %s, limit: 2}`", status, signalReason)
}

// ruleFor is what the author of a job may want that failed with a status before it
// began.
func ruleFor(status int) string {
	for _, exit := range exitNames {
		if exit.status == status && exit.retry {
			return retryRule(status, StackErrorReason)
		}
	}
	return noRule
}

// lossRules are the rules for jobs that were lost after they had begun. An agent that
// is told to stop says so; one that vanishes says nothing.
var lossRules = map[string]string{
	CauseOutOfMemory: noRuleAgain, CauseDeadline: noRuleAgain,
	CauseNodeLost: retryRule(-1, "none"),
	CauseDeleted:  retryRule(-1, "agent_stop"), CauseDrained: retryRule(-1, "agent_stop"), CauseEvicted: retryRule(-1, "agent_stop"),
	CausePreempted: retryRule(-1, "agent_stop"), CauseNodeShutdown: retryRule(-1, "agent_stop"), CauseNodeRefused: retryRule(-1, "agent_stop"),
}

func TestDocsFailures(t *testing.T) {
	var statuses, retry, before, after strings.Builder
	statuses.WriteString("| exit status | meaning | retry by itself? |\n|---|---|---|\n")
	retry.WriteString("```yaml\nretry:\n  automatic:\n")
	for _, exit := range exitNames {
		advice := "no: somebody has to change something first"
		if exit.retry {
			advice = "yes"
			fmt.Fprintf(&retry, "  - exit_status: %d\n    signal_reason: %s\n    limit: 2\n", exit.status, StackErrorReason)
		}
		fmt.Fprintf(&statuses, "| %d | %s | %s |\n", exit.status, exit.means, advice)
	}
	retry.WriteString("```\n")
	before.WriteString("| cause | exit status | after | first line of the job's log | retry by itself |\n|---|---|---|---|---|\n")
	for _, cause := range slices.Sorted(maps.Keys(refusals())) {
		row := refusals()[cause]
		fmt.Fprintf(&before, "| `%s` | %d | %s | %s | %s |\n", cause, ExitRejected, row.after, row.text, ruleFor(ExitRejected))
	}
	for _, cause := range slices.Sorted(maps.Keys(diagnosis.ExitStatuses)) {
		trouble := &Trouble{Cause: cause, Container: "NAME", Image: "IMAGE"}
		fmt.Fprintf(&before, "| `%s` | %d | %s | %s | %s |\n", cause, trouble.ExitStatus(), patienceWords(cause), trouble.Advice(), ruleFor(trouble.ExitStatus()))
	}
	fmt.Fprintf(&before, "| `%s` | %d | %d pods | %s | %s |\n", CauseEndedWithoutARun, ExitNeverRan, maxEnded, neverRan(maxEnded, &PodRecord{AgentExit: 1}, "").Advice, ruleFor(ExitNeverRan))
	after.WriteString("| cause | the annotation says | retry by itself |\n|---|---|---|\n")
	for _, cause := range slices.Sorted(maps.Keys(diagnosis.LossAdvices)) {
		trouble := &Trouble{Cause: cause, Container: "NAME"}
		fmt.Fprintf(&after, "| `%s` | %s | %s |\n", cause, trouble.LossAdvice(), lossRules[cause])
		if lossRules[cause] == "" {
			t.Errorf("%s has neither a retry rule nor a sentence why none is needed", cause)
		}
	}
	checkGenerated(t, "../docs/failures.md", statuses.String(), retry.String(), before.String(), after.String())
}

// TestPagesFollowTheStatuses: what other pages say of the statuses is what the
// table says.
func TestPagesFollowTheStatuses(t *testing.T) {
	page := func(name string) string {
		text, err := os.ReadFile("../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	lowest, highest := exitNames[0].status, exitNames[0].status
	for _, exit := range exitNames {
		lowest, highest = min(lowest, exit.status), max(highest, exit.status)
		rule := fmt.Sprintf("exit_status: %d, signal_reason: %s", exit.status, StackErrorReason)
		if strings.Contains(page("pipelines.md"), rule) != exit.retry {
			t.Errorf("docs/pipelines.md: a rule with %s: want %t", rule, exit.retry)
		}
	}
	if words := fmt.Sprintf("%d to %d by the [kind of failure]", lowest, highest); !strings.Contains(page("migrate.md"), words) {
		t.Errorf("docs/migrate.md does not say %s", words)
	}
}

// refusal is a row about a pod that the cluster refuses.
type refusalRow struct{ after, text string }

// refusals are the verdicts for which a job fails.
func refusals() map[string]refusalRow {
	rows := map[string]refusalRow{
		CauseInvalid:       {"at once", "Correct FIELD: what is wrong with it. One line for each field, named as in the step: `plugins.kubernetes.podSpec.containers[0].image`."},
		CauseTooLarge:      {"at once", "Make the pod smaller: large values belong into a ConfigMap or the repository."},
		CauseQuotaTooSmall: {"at once", "Ask for less RESOURCE: what the pod asks for is more than the namespace's whole quota."},
		CausePodTemplate:   {"1m, `missing-object-timeout`", "Correct plugins.kubernetes.podTemplate, or have the template created: the namespace has no PodTemplate NAME."},
		CausePolicy:        {"at once", "Change the pod so that the cluster's policy allows it."},
		CauseForbidden:     {"10m, `unknown-refusal-timeout`", "Change the pod so that the cluster allows it."},
	}
	for _, kind := range diagnosis.Forbiddens {
		if kind.Verdict.Advice == "" {
			continue
		}
		after := "at once"
		if kind.Verdict.Class == Hold {
			after = "1m, `missing-object-timeout`"
		}
		rows[kind.Verdict.Cause] = refusalRow{after, kind.Verdict.Advice}
	}
	return rows
}

// patienceWords says how long a trouble is borne.
func patienceWords(cause string) string {
	switch {
	case cause == CauseAgentSilent:
		return "10m, `agent-start-timeout`"
	case cause == CausePending:
		return "15m, `pod-pending-timeout`; while pulling 1h, `pod-pulling-timeout`"
	case diagnosis.ExitStatuses[cause] == ExitNode || cause == CauseDeadline || cause == CauseInitFailed:
		return map[bool]string{true: fmt.Sprintf("%d pods", maxEnded), false: "at once"}[diagnosis.ExitStatuses[cause] == ExitNode]
	case cause == CauseUnschedulable, cause == CauseImageLimit, cause == CauseImagePull:
		return "15m, `pod-pending-timeout`"
	default:
		return "30s, `image-pull-backoff-grace-period`"
	}
}

func TestDocsOperate(t *testing.T) {
	var table strings.Builder
	table.WriteString("| cause in the log and `/readyz` | what to do |\n|---|---|\n")
	for _, cause := range slices.Sorted(maps.Keys(diagnosis.Operators)) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", cause, diagnosis.Operators[cause])
	}
	checkGenerated(t, "../docs/operate.md", table.String())
}

// constants returns the constants of this package and of diagnosis whose name has
// the prefix, by name.
func constants(prefix string) map[string]string {
	found := map[string]string{}
	packages, err := parser.ParseDir(token.NewFileSet(), ".", nil, 0) //nolint:staticcheck // no build tags here
	if err != nil {
		panic(err)
	}
	pure, err := parser.ParseDir(token.NewFileSet(), "diagnosis", nil, 0) //nolint:staticcheck // no build tags here
	if err != nil {
		panic(err)
	}
	inspect := func(node ast.Node) bool {
		spec, isSpec := node.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != len(spec.Names) {
			return true
		}
		for i, name := range spec.Names {
			if value, isLiteral := spec.Values[i].(*ast.BasicLit); isLiteral && strings.HasPrefix(name.Name, prefix) {
				text, err := strconv.Unquote(value.Value)
				if err != nil {
					text = value.Value
				}
				found[name.Name] = text
			}
		}
		return true
	}
	ast.Inspect(packages["dispatcher"], inspect)
	ast.Inspect(pure["diagnosis"], inspect)
	return found
}

func allCauses() []string {
	causes := slices.Collect(maps.Values(constants("Cause")))
	slices.Sort(causes)
	return slices.Compact(causes)
}

// No cause and no exit status is missing from the tables that make the page, and
// each that can hold a job has words for its build and for the operators.
func TestDocsAreComplete(t *testing.T) {
	for name, text := range constants("Exit") {
		if !slices.ContainsFunc(exitNames, func(exit struct {
			status int
			means  string
			retry  bool
		},
		) bool {
			return strconv.Itoa(exit.status) == text
		}) {
			t.Errorf("%s = %s is not in the table of exit statuses", name, text)
		}
	}
	fails, _ := os.ReadFile("../docs/failures.md")
	for name, cause := range constants("Cause") {
		_, isHeld := diagnosis.WaitWords[cause]
		isListed := strings.Contains(string(fails), "`"+cause+"`")
		if !isHeld && !isListed && cause != CauseConflict && cause != CauseForeignPod {
			t.Errorf("%s has neither words for a build that waits nor a row in docs/failures.md", name)
		}
		if _, isFailure := diagnosis.ExitStatuses[cause]; isFailure && !isListed {
			t.Errorf("%s fails jobs and is not in docs/failures.md", name)
		}
	}
	for cause := range diagnosis.ExitStatuses {
		if diagnosis.Advices[cause] == "" {
			t.Errorf("%s has no advice", cause)
		}
	}
}

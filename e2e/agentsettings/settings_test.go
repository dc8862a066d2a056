package agentsettings

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/buildkite/agent/v3/agent"
	"github.com/buildkite/agent/v3/clicommand"
	"github.com/buildkite/agent/v3/tracetools"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var update = flag.Bool("update", false, "write testdata from what the code does")

const minimal = `
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: agent:1
entrypointImage: entrypoint:1
`

// everything sets every key that becomes a variable of the agent.
const everything = minimal + `
agentEndpoint: https://agent.example.com/v3
agent:
  noHTTP2: true
  experiments: [a]
  shell: /bin/bash -ec
  strictSingleHooks: true
  noMultipartArtifactUpload: true
  traceContextEncoding: json
  tracingBackend: opentelemetry
  tracingServiceName: builds
  tracingPropagateTraceparent: true
  disableWarningsFor: [a]
  debug: true
  debugSigning: true
  timestampLines: true
  noPTY: true
  gitSkipFetchExistingCommits: true
  noCommandEval: true
  noLocalHooks: true
  noPlugins: true
  pluginValidation: true
  signing: {jwksKeyID: a, volume: {secret: {secretName: a}}}
  verification: {failureBehavior: warn, volume: {secret: {secretName: b}}}
  hooks: {volume: {configMap: {name: a}}}
  additionalHooks: [{volume: {configMap: {name: b}}}]
  plugins: {volume: {configMap: {name: c}}}
  redactedVars: [A]
  cancelGracePeriod: 20
  signalGracePeriod: 10
defaultCheckoutParams:
  cloneFlags: a
  fetchFlags: a
  cleanFlags: a
  checkoutFlags: a
  noSubmodules: true
  submoduleCloneConfig: [a=b]
  gitMirrors: {volume: {emptyDir: {}}, cloneFlags: a, lockTimeout: 1, skipUpdate: true}
`

// notFlags are variables that the agent reads without a flag.
// Source: clicommand/agent_start.go and agent/k8s_tags.go.
var notFlags = []string{"BUILDKITE_CONTAINER_COUNT", "BUILDKITE_K8S_POD", "BUILDKITE_K8S_NODE", "BUILDKITE_K8S_NAMESPACE", "BUILDKITE_K8S_SERVICE_ACCOUNT", "HOME"}

// TestNames: what the mutator sets is what the agent reads.
func TestNames(t *testing.T) {
	config, errs := mutator.ParseConfig([]byte(everything))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	flags := variables(t)
	var set []string
	for _, uuid := range []string{"", "0190046e-e199-453b-a302-a21a4d649d33"} {
		for _, variable := range agentContainer(t, config, uuid).Env {
			set = append(set, variable.Name)
			if _, known := flags[variable.Name]; !known && !slices.Contains(notFlags, variable.Name) {
				t.Errorf("the agent has no variable %s", variable.Name)
			}
		}
	}
	// The fixture is everything: no setting may be missing from it.
	for name, answer := range answers(t, flags) {
		if strings.Contains(answer, "instead") && !slices.Contains(set, name) {
			t.Errorf("%s has a key, which this test does not set", name)
		}
	}
}

// TestDecisions has, for every variable of the agent, whether the platform may
// set it. A new one of a new version of the agent has to be looked at.
func TestDecisions(t *testing.T) {
	got := answers(t, variables(t))
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(got)) {
		lines = append(lines, name+": "+got[name]+"\n")
	}
	text := strings.Join(lines, "")
	file := filepath.Join("testdata", "decisions.txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("decide about new variables in mutator/config_agent_env.go, and run the test with -update (-want +got):\n%s", diff)
	}
}

// TestRedactedVariables: the agent's own patterns are all in the list, which
// replaces them.
func TestRedactedVariables(t *testing.T) {
	config, errs := mutator.ParseConfig([]byte(minimal))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var got []string
	for _, variable := range agentContainer(t, config, "").Env {
		if variable.Name == "BUILDKITE_REDACTED_VARS" {
			got = strings.Split(variable.Value, ",")
		}
	}
	defaults := variables(t)["BUILDKITE_REDACTED_VARS"].FieldByName("Value").Elem()
	var want []string
	for i := range defaults.Len() {
		want = append(want, defaults.Index(i).String())
	}
	if len(want) == 0 {
		t.Fatal("the agent has no patterns of its own")
	}
	if diff := cmp.Diff(append(want, "SSH_PRIVATE_*_KEY", "SSH_PRIVATE_*_KEY_B64"), got); diff != "" {
		t.Errorf("redacted variables (-want +got):\n%s", diff)
	}
}

// TestValues: the choices that the configuration has are the agent's.
func TestValues(t *testing.T) {
	for _, value := range []string{agent.VerificationBehaviourBlock, agent.VerificationBehaviourWarn} {
		parse(t, "agent: {verification: {failureBehavior: "+value+"}}")
	}
	for backend := range tracetools.ValidTracingBackends {
		if backend != tracetools.BackendNone {
			parse(t, "agent: {tracingBackend: "+backend+"}")
		}
	}
	for _, encoding := range []string{"gob", "json"} {
		parse(t, "agent: {traceContextEncoding: "+encoding+"}")
		if _, err := tracetools.ParseEncoding(encoding); err != nil {
			t.Error(err)
		}
	}
}

func parse(t *testing.T, text string) {
	t.Helper()
	if _, errs := mutator.ParseConfig([]byte(minimal + text)); len(errs) > 0 {
		t.Errorf("%s: %v", text, errs.ToAggregate())
	}
}

// variables are the flags of `buildkite-agent start` by their variables. Of a
// flag with several, the agent documents the first.
func variables(t *testing.T) map[string]reflect.Value {
	t.Helper()
	flags := map[string]reflect.Value{}
	for _, one := range clicommand.AgentStartCommand.Flags {
		value := reflect.ValueOf(one)
		names := value.FieldByName("EnvVar")
		if !names.IsValid() {
			t.Fatalf("a flag of the type %T has no variable", one)
		}
		for name := range strings.SplitSeq(names.String(), ",") {
			if name != "" {
				flags[name] = value
			}
		}
	}
	if len(flags) < 100 {
		t.Fatalf("found %d variables of the agent, which has more than 100", len(flags))
	}
	return flags
}

// answers are what the configuration says to each variable under agent.env.
func answers[V any](t *testing.T, flags map[string]V) map[string]string {
	t.Helper()
	result := map[string]string{}
	for name := range flags {
		_, errs := mutator.ParseConfig([]byte(minimal + "agent: {env: {" + name + ": \"1\"}}"))
		result[name] = "may be set"
		if len(errs) > 0 {
			result[name] = detail(errs)
		}
	}
	return result
}

func detail(errs field.ErrorList) string {
	details := make([]string, len(errs))
	for i, err := range errs {
		details[i] = err.Detail
	}
	return strings.Join(details, "; ")
}

func agentContainer(t *testing.T, config mutator.Config, uuid string) corev1.Container {
	t.Helper()
	return containerOf(t, config, uuid, contract.AgentContainer)
}

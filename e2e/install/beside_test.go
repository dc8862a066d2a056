package install

import (
	"strings"
	"testing"
)

const (
	canary           = "canary"
	canaryNamespace  = "canary-system"
	furtherNamespace = "further-jobs"
	// furtherToken is an agent token of a namespace's own.
	furtherToken = "agent-token-of-the-further-namespace"
)

// secondInstallation: a canary beside the stable one, with a further namespace of
// jobs that was there before, as docs/install.md has it. Each injects into its own
// pods.
func secondInstallation(t *testing.T) {
	for _, queue := range []string{canary, "further"} {
		// Resuming a queue that was not there makes it.
		if _, err := client.SetQueuePaused(t.Context(), "", queue, false); err != nil {
			t.Fatal(err)
		}
	}
	makeFurtherNamespace(t)
	values := settings("canary")
	set(values, canary, "mutator", "name")
	set(values, []any{map[string]any{"name": furtherNamespace, "podSecurity": "restricted", "agentToken": ""}}, "furtherJobNamespaces")
	set(values, []any{map[string]any{"queue": "canary"}, map[string]any{"queue": "further", "namespace": furtherNamespace}}, "config", "queues")
	delete(values["config"].(map[string]any), "queue")
	notes := upgrade(t, canary, canaryNamespace, chartReference, versionN, values)
	if want := "kubectl label namespace " + furtherNamespace; !strings.Contains(notes, want) {
		t.Errorf("the notes lack %q:\n%s", want, notes)
	}
	build := start(t, `
steps:
- {label: stable, command: "true", agents: {queue: kubernetes}}
- {label: canary, command: "true", agents: {queue: canary}}
- {label: further one, command: "true", agents: {queue: further}}
- {label: further two, command: "true", agents: {queue: further}}
`)
	ends(t, build, "passed")
	const (
		mutator    = `{.metadata.labels.buildkite\.com/mutator}`
		controller = `{.metadata.labels.buildkite\.com/controller-id}`
	)
	canaryID := canaryNamespace + "." + "canary-agent-stack-k8s"
	for i, want := range []struct{ namespace, facts string }{
		{jobNamespace, " " + namespace + "." + fullname},
		{canaryNamespace + "-jobs", "canary " + canaryID},
		{furtherNamespace, "canary " + canaryID},
		{furtherNamespace, "canary " + canaryID},
	} {
		job := build.Commands()[i]
		got := kubectl(t, "-n", want.namespace, "get", "pods", "-l", "buildkite.com/job-uuid="+job.UUID, "-o", "jsonpath={range .items[*]}"+mutator+" "+controller+"{end}")
		if got != want.facts {
			t.Errorf("the pod of %s in %s has %q, want %q", job.Label, want.namespace, got, want.facts)
		}
	}
	mustHelm(t, "uninstall", canary, "--namespace", canaryNamespace, "--wait")
	passes(t, oneJob)
	kubectl(t, "delete", "namespace", canaryNamespace, furtherNamespace, "--wait=false")
}

// makeFurtherNamespace makes a namespace of jobs as a platform team has it: with a
// token, a quota and a Pod Security standard of its own.
func makeFurtherNamespace(t *testing.T) {
	t.Helper()
	kubectl(t, "create", "namespace", furtherNamespace)
	kubectl(t, "label", "namespace", furtherNamespace, "buildkite.com/jobs=enabled", "pod-security.kubernetes.io/enforce=restricted")
	kubectl(t, "-n", furtherNamespace, "create", "secret", "generic", "buildkite-agent-token", "--from-literal=BUILDKITE_AGENT_TOKEN="+furtherToken)
	kubectl(t, "-n", furtherNamespace, "create", "quota", "jobs", "--hard=pods=1")
}

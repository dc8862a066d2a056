package install

import (
	"strings"
	"testing"
)

// upgradeAndRollback goes to the next version and back, by version, by digest and
// by helm rollback, while jobs run and pods are created. The next version has
// another configuration too: while both serve, they agree on what they see of each
// other's pods.
func upgradeAndRollback(t *testing.T, digests map[string]string) {
	build := start(t, `
steps:
- {label: long one, command: "echo begun; sleep 75", agents: {queue: kubernetes}}
- {label: long two, command: "echo begun; sleep 75", agents: {queue: kubernetes}}
`)
	begun(t, build)
	next := set(settings("kubernetes"), 11, "config", "max-in-flight")
	set(next, map[string]any{"labels": map[string]any{"release": "next"}}, "config", "defaultMetadata")

	load := startLoad(t)
	upgrade(t, release, namespace, chartReference, versionNext, next)
	serves(t, versionNext)
	passes(t, oneJob)
	upgrade(t, release, namespace, chartReference+"@"+digests[versionN], "", settings("kubernetes"))
	serves(t, versionN)
	upgrade(t, release, namespace, chartReference+"@"+digests[versionNext], "", next)
	serves(t, versionNext)
	passes(t, oneJob)
	mustHelm(t, "rollback", release, "--namespace", namespace, "--wait", "--timeout", "3m")
	serves(t, versionN)
	load.stop(t)
	ends(t, build, "passed")
	passes(t, oneJob)
}

// serves: the release and all its pods that are not about to end are of a version.
func serves(t *testing.T, version string) {
	t.Helper()
	if output := mustHelm(t, "list", "--namespace", namespace, "-o", "yaml"); !strings.Contains(output, "agent-stack-k8s-"+version) {
		t.Errorf("the release is not of version %s:\n%s", version, output)
	}
	versions := kubectl(t, "-n", namespace, "get", "deployments", "-o", `jsonpath={.items[*].spec.template.metadata.labels.helm\.sh/chart}`)
	if want := strings.TrimSpace(strings.Repeat("agent-stack-k8s-"+version+" ", 2)); versions != want {
		t.Errorf("pods are of %q, want %q", versions, want)
	}
}

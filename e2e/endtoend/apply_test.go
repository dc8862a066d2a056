package endtoend

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// again is one way to hand Kubernetes a file that it has already.
type again struct {
	arguments string
	// edit replaces the first text by the second in the file.
	edit [2]string
	// status is kubectl's exit status; says is in its output.
	status int
	says   string
}

const (
	immutable = "pod updates may not change fields other than"
	conflict  = `conflict with "kubectl-client-side-apply"`
)

// TestApplyTwice applies the file of a runner again and again, and asks for the
// difference, while it runs. Every row is in docs/hand-made-pods.md.
func TestApplyTwice(t *testing.T) {
	t.Parallel()
	withCommand := runner{command: []string{"sleep", "60"}}
	gated := runner{command: []string{"sleep", "60"}, gated: true}
	edited := [2]string{"- sleep\n", "- nap\n"}
	// kubectl says "configured" when it had something to say to the API server,
	// whatever came of it.
	client := func(says string) []again {
		return []again{{"apply", [2]string{}, 0, says}, {"diff", [2]string{}, 0, ""}, {"apply", [2]string{}, 0, says}}
	}
	server := []again{
		{"apply --server-side", [2]string{}, 0, "serverside-applied"},
		{"diff --server-side", [2]string{}, 0, ""},
		{"apply --server-side", [2]string{}, 0, "serverside-applied"},
	}
	cases := map[string]struct {
		runner runner
		job    bool
		first  string
		again  []again
	}{
		// The webhook changes pods, not the template in a Job.
		"job-client": {withCommand, true, "apply", client("unchanged")},
		"job-server": {withCommand, true, "apply --server-side", server},
		"pod-client": {withCommand, false, "apply", append(client("configured"),
			again{"apply", edited, 1, immutable}, again{"diff", edited, 2, immutable},
			again{"replace", [2]string{}, 1, "pod updates may not add or remove containers"})},
		"pod-server": {withCommand, false, "apply --server-side", append(slices.Clone(server),
			again{"apply --server-side", edited, 1, immutable}, again{"diff --server-side", edited, 2, immutable})},
		"gated-client": {gated, false, "apply", client("configured")},
		"gated-server": {gated, false, "apply --server-side", server},
		"queue-client": {runner{}, false, "apply", client("configured")},
		"queue-server": {runner{}, false, "apply --server-side", server},
		// One after the other: kubectl compares what it wrote with what there is.
		"job-both": {withCommand, true, "apply", []again{
			{"diff --server-side", [2]string{}, 1, "last-applied-configuration"},
			{"apply --server-side", [2]string{}, 0, "serverside-applied"},
			{"diff --server-side", [2]string{}, 0, ""},
		}},
		"pod-both": {withCommand, false, "apply", []again{
			{"diff --server-side", [2]string{}, 2, conflict},
			{"apply --server-side", [2]string{}, 1, conflict},
			{"apply --server-side --force-conflicts", [2]string{}, 0, "serverside-applied"},
			{"diff --server-side", [2]string{}, 0, ""},
		}},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			tc := cases[name]
			tc.runner.name = "apply-" + name
			tc.runner.queue = tc.runner.name
			kind, manifest := "pod", tc.runner.pod()
			if tc.job {
				kind, manifest = "job", tc.runner.job()
			}
			applied(t, manifest, again{arguments: tc.first})
			deleteAfterwards(t, kind, tc.runner.name)
			before := kubectl(t, "get", kind, tc.runner.name, "-o", "jsonpath={.metadata.uid}{.spec.containers}{.spec.template}{.spec.initContainers}")
			for _, step := range tc.again {
				applied(t, manifest, step)
			}
			if after := kubectl(t, "get", kind, tc.runner.name, "-o", "jsonpath={.metadata.uid}{.spec.containers}{.spec.template}{.spec.initContainers}"); after != before {
				t.Errorf("it was changed:\n%s\n%s", before, after)
			}
		})
	}
}

func applied(t *testing.T, manifest string, step again) {
	t.Helper()
	if step.edit[0] != "" {
		if !strings.Contains(manifest, step.edit[0]) {
			t.Fatalf("the manifest has no %q:\n%s", step.edit[0], manifest)
		}
		manifest = strings.Replace(manifest, step.edit[0], step.edit[1], 1)
	}
	arguments := append(strings.Fields(step.arguments), "-f", "-")
	status, output := tryKubectl(t, manifest, arguments...)
	// kubectl diff asks twice, and a dry run makes no new version: the kubelet has
	// written between the two.
	for tries := 1; tries < 10 && strings.Contains(output, "\n-  resourceVersion: "); tries++ {
		status, output = tryKubectl(t, manifest, arguments...)
	}
	if status != step.status || !strings.Contains(output, step.says) || (step.says == "" && strings.HasPrefix(step.arguments, "diff") && output != "") {
		t.Errorf("kubectl %s: exit status %d, want %d and %q in\n%s", step.arguments, status, step.status, step.says, output)
	}
}

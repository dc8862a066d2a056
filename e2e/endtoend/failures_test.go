package endtoend

import (
	"context"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// TestPodsThatCannotStart: the job fails with the reason, under a status that
// retry rules can match, and a pod that would wait for ever goes.
func TestPodsThatCannotStart(t *testing.T) {
	cases := map[string]struct {
		plugin string
		status int
		words  []string
	}{
		"image that does not exist": {
			`containers: [{name: build, image: "@REGISTRY@/no-such-image:1", command: ["true"]}]`,
			dispatcher.ExitImage, []string{"container build", "no-such-image:1", "not found"},
		},
		"name that is no image's": {
			`containers: [{name: build, image: "No/Such:image:name", command: ["true"]}]`,
			dispatcher.ExitImage, []string{"container build", "No/Such:image:name"},
		},
		"secret that does not exist": {
			`containers: [{name: build, image: @SHELL@, command: ["true"], envFrom: [{secretRef: {name: no-such-secret}}]}]`,
			dispatcher.ExitContainer, []string{"container build", `secret "no-such-secret" not found`},
		},
		"secret of checkout that does not exist": {
			`containers: [{name: build, image: @SHELL@, command: ["true"]}]
          checkout: {envFrom: [{secretRef: {name: no-such-secret}}]}`,
			dispatcher.ExitContainer, []string{"container checkout", `secret "no-such-secret" not found`},
		},
		"image volume of checkout": {
			`volumes: [{name: tools, image: {reference: "@REGISTRY@/no-such-tools:1"}}]
            containers: [{name: build, image: @SHELL@, command: ["true"]}]
          checkout: {extraVolumeMounts: [{name: tools, mountPath: /tools}]}`,
			dispatcher.ExitImage, []string{"container checkout", "no-such-tools:1", "not found"},
		},
		"init container that fails": {
			`initContainers: [{name: prepare, image: @SHELL@, command: [sh, -c, "echo cannot prepare; exit 4"]}]
            containers: [{name: build, image: @SHELL@, command: ["true"]}]`,
			dispatcher.ExitBefore, []string{"init container prepare", "exit status 4", "cannot prepare"},
		},
		"more than any node has": {
			`containers: [{name: build, image: @SHELL@, command: ["true"], resources: {requests: {cpu: "1000"}}}]`,
			dispatcher.ExitPending, []string{"no node could take the pod", "Insufficient cpu"},
		},
		"volume that does not exist": {
			`volumes: [{name: data, configMap: {name: no-such-map}}]
            containers: [{name: build, image: @SHELL@, command: ["true"], volumeMounts: [{name: data, mountPath: /data}]}]`,
			dispatcher.ExitPending, []string{"FailedMount", `configmap "no-such-map" not found`},
		},
	}
	for name, tc := range cases {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			registry, _, _ := strings.Cut(pulled["shell"], "/")
			b := start(t, strings.ReplaceAll(`
steps:
  - label: stuck
    plugins:
      - kubernetes:
          podSpec:
            `+tc.plugin+`
`, "@REGISTRY@", registry))
			b.fails(t)
			j := b.job(t, "stuck")
			j.exits(t, tc.status)
			if reason := j.signalReason(t); reason != dispatcher.StackErrorReason {
				t.Errorf("signal reason %q", reason)
			}
			j.logs(t, tc.words...)
			if tc.status == dispatcher.ExitBefore {
				// The pod has ended, and is there to look at for a while.
				return
			}
			eventually(t, "the pod to go", func(ctx context.Context) (bool, error) {
				output, err := kube.Run(ctx, "-n", jobNamespace, "get", "pod", j.pod(), "--ignore-not-found", "-o", "name")
				return output == "", err
			})
		})
	}
}

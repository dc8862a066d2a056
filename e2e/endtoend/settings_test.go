package endtoend

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// resourceClasses are in the mutator's configuration in all tests.
var resourceClasses = map[string]any{
	"large": map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": "123m"}}},
}

// TestPodTemplate: a step builds on a PodTemplate of the namespace, which the
// dispatcher reads.
func TestPodTemplate(t *testing.T) {
	t.Parallel()
	const template = `
apiVersion: v1
kind: PodTemplate
metadata:
  name: end-to-end
template:
  spec:
    containers:
    - name: build
      image: @SHELL@
      env:
      - {name: FROM_TEMPLATE, value: lent}
      - {name: CHOSEN, value: by the template}
    - name: unused
      image: @SHELL@
`
	if _, err := create(t, jobNamespace, withImages(template)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "podtemplate", "end-to-end")
	})
	b := start(t, `
steps:
  - label: templated
    plugins:
      - kubernetes:
          podTemplate: end-to-end
          podSpec:
            containers:
              - name: build
                command: ['echo "$FROM_TEMPLATE, chosen $CHOSEN"']
                env:
                  - {name: CHOSEN, value: by the author}
`)
	b.passes(t)
	b.job(t, "templated").logs(t, "lent, chosen by the author")
	if statuses := containerStatuses(t, b.job(t, "templated").pod()); len(statuses) != 3 {
		t.Errorf("containers %v, want agent, checkout and build", statuses)
	}
}

// TestStepImageAndResourceClass: the step's own attributes reach the pod, and the
// agent still gets the job that asked for a resource class.
func TestStepImageAndResourceClass(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: attributes
    image: @SHELL@
    agents: {resource_class: large}
    command: 'echo "passed in $(ls -d /bin/busybox)"'
`)
	b.passes(t)
	b.job(t, "attributes").logs(t, "passed in /bin/busybox")
	pod, err := getPod(t.Context(), b.job(t, "attributes").pod())
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range pod.Spec.Containers {
		cpu := container.Resources.Requests[corev1.ResourceCPU]
		if container.Name != contract.AgentContainer && container.Name != contract.CheckoutContainer && cpu.String() != "123m" {
			t.Errorf("container %s asks for %s CPU, want that of its class", container.Name, cpu.String())
		}
	}
}

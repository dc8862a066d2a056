package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestPatchOfDerivedFields: the API server works out a priority before it asks
// the webhook, and refuses it beside another class. A patch that names one leaves
// that to be worked out again.
func TestPatchOfDerivedFields(t *testing.T) {
	t.Parallel()
	const class = "patched-in"
	if status, output := tryKubectl(t, fmt.Sprintf(`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: %s}, value: 1234, preemptionPolicy: Never}`, class), "create", "-f", "-"); status != 0 {
		t.Fatal(output)
	}
	deleteAfterwards(t, "priorityclass", class)
	manifest := named(t, handMadePod(podOptions{job: "0190046e-e199-453b-a302-a21a4d649d77", command: "true", plugin: `{"podSpecPatch":{"priorityClassName":"` + class + `"}}`}))
	eventually(t, "the API server to know the class", func(context.Context) (bool, error) {
		status, _ := tryKubectl(t, manifest, "create", "--dry-run=server", "-f", "-") //nolint:contextcheck // it has the test's
		return status == 0, nil
	})
	var pod corev1.Pod
	if err := json.Unmarshal(dryRun(t, manifest), &pod); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.Priority == nil || *pod.Spec.Priority != 1234 || pod.Spec.PreemptionPolicy == nil || *pod.Spec.PreemptionPolicy != corev1.PreemptNever {
		t.Errorf("priority %v, preemption %v; want those of the class", pod.Spec.Priority, pod.Spec.PreemptionPolicy)
	}
	if deadline := pod.Spec.ActiveDeadlineSeconds; deadline == nil || *deadline != 21600 {
		t.Errorf("deadline %v, want the default", deadline)
	}
}

package mutator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestRestore updates injected pods, in the way of a merge of the manifest that
// they were made from, and in ways that are not ours to hide.
func TestRestore(t *testing.T) {
	const golden = "handmade-job-uuid"
	written := decodePod(t, readFile(t, "testdata/"+golden+".in.yaml")).Spec.Containers[0]
	_, old := mutated(t, golden)
	name := written.Name
	if name == "" {
		name = contract.JobContainerNamePrefix + "0"
	}
	own := func(pod *corev1.Pod) *corev1.Container { return findContainer(pod.Spec.Containers, name) }
	if len(written.Command) == 0 || len(written.Args) == 0 || written.WorkingDir == "" {
		t.Fatalf("%s sets too little: %+v", golden, written)
	}
	cases := map[string]struct {
		update func(*corev1.Pod)
		// kept says that the update is what Restore leaves.
		kept bool
	}{
		"the same again": {func(p *corev1.Pod) {
			own(p).Command, own(p).Args, own(p).WorkingDir = written.Command, written.Args, written.WorkingDir
		}, false},
		"command alone":     {func(p *corev1.Pod) { own(p).Command = written.Command }, false},
		"args alone":        {func(p *corev1.Pod) { own(p).Args = written.Args }, false},
		"gate":              {func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: contract.Gate}} }, false},
		"nothing":           {func(*corev1.Pod) {}, true},
		"another command":   {func(p *corev1.Pod) { own(p).Command = []string{"rm"} }, true},
		"no command":        {func(p *corev1.Pod) { own(p).Command = nil }, true},
		"another directory": {func(p *corev1.Pod) { own(p).WorkingDir = "/" }, true},
		"another image":     {func(p *corev1.Pod) { own(p).Image = "other" }, true},
		"gate of another":   {func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "other/gate"}} }, true},
		"command of checkout": {func(p *corev1.Pod) {
			findContainer(p.Spec.Containers, contract.CheckoutContainer).Command = written.Command
		}, true},
		"container removed": {func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[1:] }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := old.DeepCopy()
			tc.update(pod)
			want := old
			if tc.kept {
				want = pod.DeepCopy()
			}
			before := old.DeepCopy()
			if restored := Restore(old, pod); restored == tc.kept {
				t.Errorf("restored: %t", restored)
			}
			if diff := cmp.Diff(want, pod); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, old); diff != "" {
				t.Errorf("the old pod was changed:\n%s", diff)
			}
		})
	}
}

// TestRestoreWithoutAReceiptOfOurs leaves the update alone.
func TestRestoreWithoutAReceiptOfOurs(t *testing.T) {
	for name, receipt := range map[string]string{"none": "", "another version's": `{"version":"0","plan":{"tomorrow":1}}`, "no JSON": "yes"} {
		t.Run(name, func(t *testing.T) {
			_, old := mutated(t, "handmade-job-uuid")
			old.Annotations[contract.InjectedAnnotation] = receipt
			if receipt == "" {
				delete(old.Annotations, contract.InjectedAnnotation)
			}
			pod := old.DeepCopy()
			pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: contract.Gate}}
			if Restore(old, pod) || len(pod.Spec.SchedulingGates) != 1 {
				t.Error("the update was changed")
			}
		})
	}
}

package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Restore makes it possible to apply the manifest of a running job pod again.
// Whoever does so sends the command, args, working directory and scheduling gate
// as they wrote them, and the API server would refuse to change these in a pod
// that exists. Where an update to pod sets one of them to what the pod's creator
// wrote, Restore puts back what is in old; any other change stays as it is, for
// the API server to judge. It reports whether it changed pod.
//
// A pod without a receipt of this mutator, or with one of another version, is
// left alone.
func Restore(old, pod *corev1.Pod) bool {
	text, injected := old.Annotations[contract.InjectedAnnotation]
	if !injected {
		return false
	}
	receipt, err := ParseReceipt(text)
	if err != nil {
		return false
	}
	restored := restoreGate(old, pod)
	for i := range receipt.Plan.Containers {
		planned := &receipt.Plan.Containers[i]
		was := findContainer(old.Spec.Containers, planned.Name)
		now := findContainer(pod.Spec.Containers, planned.Name)
		if was != nil && now != nil && restoreContainer(was, now, planned) {
			restored = true
		}
	}
	return restored
}

// restoreGate removes our scheduling gate from a pod that is past it.
func restoreGate(old, pod *corev1.Pod) bool {
	isOurs := func(gate corev1.PodSchedulingGate) bool { return gate.Name == contract.Gate }
	if slices.ContainsFunc(old.Spec.SchedulingGates, isOurs) || !slices.ContainsFunc(pod.Spec.SchedulingGates, isOurs) {
		return false
	}
	gates := slices.DeleteFunc(slices.Clone(pod.Spec.SchedulingGates), isOurs)
	if len(gates) == 0 {
		gates = nil
	}
	pod.Spec.SchedulingGates = gates
	return true
}

// restoreContainer restores the fields of a job container one by one: a merge of
// what was written before and now touches only those that were written.
func restoreContainer(was, now *corev1.Container, planned *ContainerPlan) bool {
	words := was.Args[min(len(planned.args()), len(was.Args)):]
	if planned.Interposer == "" || len(words) < planned.Commands || digestWords(words) != planned.CommandDigest {
		words = nil
	}
	restored := words != nil && restoreWords(&now.Command, words[:planned.Commands], was.Command)
	if words != nil && restoreWords(&now.Args, words[planned.Commands:], was.Args) {
		restored = true
	}
	if now.WorkingDir == planned.WorkingDirectory && now.WorkingDir != was.WorkingDir {
		now.WorkingDir = was.WorkingDir
		restored = true
	}
	return restored
}

// restoreWords sets a command or args to what they were if they are what their
// author wrote.
func restoreWords(now *[]string, written, was []string) bool {
	if !slices.Equal(*now, written) || slices.Equal(*now, was) {
		return false
	}
	*now = slices.Clone(was)
	return true
}

package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// defaultContainerAnnotation names the container that kubectl logs and exec
// mean when none is named.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

// showJobContainer makes the first job container the one that people see.
func showJobContainer(pod *corev1.Pod, plan *Plan) {
	if _, set := pod.Annotations[defaultContainerAnnotation]; !set && len(plan.Containers) > 0 {
		setAnnotation(pod, defaultContainerAnnotation, plan.Containers[0].Name)
	}
}

// runOnce keeps the kubelet from starting a container again: the agent takes
// each container once.
func runOnce(pod *corev1.Pod, _ *Plan) {
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
}

// openGate removes our scheduling gate and leaves those of others, such as
// Kueue's.
func openGate(pod *corev1.Pod, _ *Plan) {
	pod.Spec.SchedulingGates = slices.DeleteFunc(pod.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return gate.Name == contract.Gate
	})
	if len(pod.Spec.SchedulingGates) == 0 {
		pod.Spec.SchedulingGates = nil
	}
}

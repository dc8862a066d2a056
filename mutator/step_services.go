package mutator

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// addServices adds the plugin's sidecars as native ones: init containers that
// keep running. The job's containers start once their startup probes pass, and
// they end after the job. They come last, so that init containers can prepare
// what they need.
func addServices(pod *corev1.Pod, plan *Plan) {
	for i, planned := range plan.Services {
		service := findContainer(pod.Spec.InitContainers, planned.Name)
		if service == nil && i < len(plan.services) {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, *plan.services[i].DeepCopy())
			service = &pod.Spec.InitContainers[len(pod.Spec.InitContainers)-1]
		}
		if service == nil {
			continue
		}
		override(&service.RestartPolicy, ptr.To(corev1.ContainerRestartPolicyAlways))
		ensureMount(service, workspaceMount())
	}
}

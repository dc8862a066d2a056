package mutator

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// addWorkspace adds the volumes that the containers share: the workspace with
// the checkout, which may be the user's own, and ours for sockets and locks,
// which must work where the workspace is full or on a network.
func addWorkspace(pod *corev1.Pod, plan *Plan) {
	if plan.WorkspaceVolume != nil && !hasVolume(pod, contract.WorkspaceVolume) {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: contract.WorkspaceVolume, VolumeSource: *plan.WorkspaceVolume.DeepCopy()})
	}
	ensureVolume(pod, emptyDir(contract.RunVolume))
	for _, volume := range plan.Volumes {
		ensureVolume(pod, *volume.DeepCopy())
	}
}

func hasVolume(pod *corev1.Pod, name string) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == name {
			return true
		}
	}
	return false
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func workspaceMount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.WorkspaceVolume, MountPath: contract.WorkspacePath}
}

func runMount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.RunVolume, MountPath: contract.RunPath}
}

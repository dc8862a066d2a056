package mutator

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// deliverEntrypoint adds the volume with the entrypoint. It is the entrypoint's
// image, or else an empty volume with an init container that copies the
// entrypoint there: the first one, because it needs nothing, not even the
// network that other init containers may set up.
func deliverEntrypoint(pod *corev1.Pod, plan *Plan) {
	ensureVolume(pod, emptyDir(contract.AgentBinaryVolume))
	if plan.Delivery == DeliveryImageVolume {
		ensureVolume(pod, corev1.Volume{Name: contract.BinVolume, VolumeSource: corev1.VolumeSource{
			Image: &corev1.ImageVolumeSource{Reference: plan.EntrypointImage, PullPolicy: plan.EntrypointImagePullPolicy},
		}})
		return
	}
	ensureVolume(pod, emptyDir(contract.BinVolume))
	install := corev1.Container{
		Name:            contract.InstallContainer,
		Image:           plan.EntrypointImage,
		ImagePullPolicy: plan.EntrypointImagePullPolicy,
		Command:         []string{contract.EntrypointImagePath},
		Args:            []string{contract.EntrypointInstall, contract.EntrypointPath},
		VolumeMounts:    []corev1.VolumeMount{{Name: contract.BinVolume, MountPath: contract.BinPath}},
		SecurityContext: restricted(plan.User),
	}
	install.SecurityContext.ReadOnlyRootFilesystem = new(true)
	if plan.Resources != nil {
		install.Resources = plan.Resources.Install
	}
	pod.Spec.InitContainers = ensureContainer(pod.Spec.InitContainers, install, 0)
}

// binMount is of the entrypoint: what a job writes there would run in the
// containers after it.
func binMount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.BinVolume, MountPath: contract.BinPath, ReadOnly: true}
}

// agentBinaryMount is of the agent's binary, which only the agent's container
// puts there.
func agentBinaryMount(readOnly bool) corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.AgentBinaryVolume, MountPath: contract.AgentBinaryDirectory, ReadOnly: readOnly}
}

package mutator

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// deliverEntrypoint adds the volume of programs and the init container that
// puts the entrypoint there. It is the first one because it needs nothing, not
// even the network that other init containers may set up.
func deliverEntrypoint(pod *corev1.Pod, plan *Plan) {
	ensureVolume(pod, emptyDir(contract.BinVolume))
	install := corev1.Container{
		Name:            contract.InstallContainer,
		Image:           plan.EntrypointImage,
		ImagePullPolicy: plan.EntrypointImagePullPolicy,
		Command:         []string{contract.EntrypointImagePath},
		Args:            []string{contract.EntrypointInstall, contract.EntrypointPath},
		VolumeMounts:    []corev1.VolumeMount{binMount(false)},
		SecurityContext: restricted(plan.User),
	}
	install.SecurityContext.ReadOnlyRootFilesystem = new(true)
	if plan.Resources != nil {
		install.Resources = plan.Resources.Install
	}
	pod.Spec.InitContainers = ensureContainer(pod.Spec.InitContainers, install, 0)
}

func binMount(readOnly bool) corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.BinVolume, MountPath: contract.BinPath, ReadOnly: readOnly}
}

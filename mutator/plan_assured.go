package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// assureCheckout plans whether the agent may take the job while the checkout's container
// is still being made: that is so if it is certain to start once the agent's has. What
// can keep a container from starting for ever is an image, a Secret or a ConfigMap that
// is not to be had, and here it needs none that the agent's container does not have
// already. A job then starts earlier by as long as it takes the agent to register and to
// take it. The volumes are the pod's own.
func (p *Plan) assureCheckout(volumes []corev1.Volume) {
	if p.Checkout == nil {
		return
	}
	var pod corev1.Pod
	addCheckout(&pod, p)
	patchInjected(&pod, p)
	checkout := findContainer(pod.Spec.Containers, contract.CheckoutContainer)
	p.Checkout.Assured = checkout.Image == p.AgentImage && !pullsAlways(checkout) &&
		needsNothing(checkout, slices.Concat(volumes, p.Volumes))
}

// pullsAlways says whether the kubelet asks the registry even for an image that the
// node has; without a policy, the API server's default.
func pullsAlways(container *corev1.Container) bool {
	if container.ImagePullPolicy != "" {
		return container.ImagePullPolicy == corev1.PullAlways
	}
	return normalImage(container.Image).version == ":latest"
}

// needsNothing says whether a container can be made from what is on the node once the
// pod's volumes are: its environment is in the pod, and of image volumes, which the
// kubelet fetches for the container that mounts them, it mounts none. A path inside a
// volume need not be there.
func needsNothing(container *corev1.Container, volumes []corev1.Volume) bool {
	fetched := func(variable corev1.EnvVar) bool {
		source := variable.ValueFrom
		return source != nil && source.FieldRef == nil && source.ResourceFieldRef == nil
	}
	if len(container.EnvFrom) > 0 || slices.ContainsFunc(container.Env, fetched) {
		return false
	}
	return !slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
		return mount.SubPath+mount.SubPathExpr != "" || slices.ContainsFunc(volumes, func(volume corev1.Volume) bool {
			return volume.Name == mount.Name && volume.Image != nil
		})
	})
}

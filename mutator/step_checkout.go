package mutator

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	checkoutHome   = contract.HomesPath + "/checkout"
	checkoutPhases = "plugin,checkout"
)

// addCheckout adds the container that clones the repository. It comes first of
// the wrapped containers, and is the one with credentials for git.
func addCheckout(pod *corev1.Pod, plan *Plan) {
	if plan.Checkout == nil {
		return
	}
	checkout := corev1.Container{
		Name:            contract.CheckoutContainer,
		Image:           plan.AgentImage,
		ImagePullPolicy: plan.AgentImagePullPolicy,
		Env:             []corev1.EnvVar{env("HOME", checkoutHome)},
		SecurityContext: checkoutContext(plan.User),
	}
	if plan.Resources != nil {
		checkout.Resources = plan.Resources.Checkout
	}
	wrap(&checkout, plan.Checkout, checkoutPhases)
	pod.Spec.Containers = ensureContainer(pod.Spec.Containers, checkout, -1)
}

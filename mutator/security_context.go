package mutator

import (
	corev1 "k8s.io/api/core/v1"
)

// restricted is the security context of injected containers, which satisfies
// the restricted Pod Security Standard wherever the pod's user does.
func restricted(user UserPlan) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser:                user.RunAsUser,
		RunAsGroup:               user.RunAsGroup,
		RunAsNonRoot:             user.RunAsNonRoot,
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// checkoutContext is restricted, but for the capabilities that the plan gives a
// checkout that runs as root.
func checkoutContext(user UserPlan) *corev1.SecurityContext {
	context := restricted(user)
	context.Capabilities.Add = user.CheckoutCapabilities
	return context
}

func coverSecurityContext(container *corev1.Container, prescribed *corev1.SecurityContext) {
	if prescribed == nil {
		return
	}
	if container.SecurityContext == nil {
		container.SecurityContext = &corev1.SecurityContext{}
	}
	context := container.SecurityContext
	override(&context.RunAsUser, prescribed.RunAsUser)
	override(&context.RunAsGroup, prescribed.RunAsGroup)
	override(&context.RunAsNonRoot, prescribed.RunAsNonRoot)
	override(&context.ReadOnlyRootFilesystem, prescribed.ReadOnlyRootFilesystem)
	override(&context.AllowPrivilegeEscalation, prescribed.AllowPrivilegeEscalation)
	override(&context.Capabilities, prescribed.Capabilities)
	override(&context.SeccompProfile, prescribed.SeccompProfile)
}

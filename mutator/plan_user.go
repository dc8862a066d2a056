package mutator

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// rootCheckoutCapabilities let a root checkout delete and change what job
// containers of other users left behind: without them root is one user among
// others. The baseline Pod Security Standard permits them.
var rootCheckoutCapabilities = []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER"}

// readUser decides what the injected containers run as: the job containers'
// user and group if these agree, else the pod's. Files in the workspace then
// belong to who works with them. Where the pod demands a user other than root
// and names none, the configured one.
func (r *reading) readUser() {
	pod := ptr.Deref(r.pod.Spec.SecurityContext, corev1.PodSecurityContext{})
	contexts := r.jobSecurityContexts()
	user := agreed(contexts, func(c corev1.SecurityContext) *int64 { return c.RunAsUser })
	group := agreed(contexts, func(c corev1.SecurityContext) *int64 { return c.RunAsGroup })
	plan := &r.plan.User
	plan.RunAsUser, plan.RunAsGroup = user, group
	if demandsNonRoot(pod, contexts) {
		plan.RunAsNonRoot = new(true)
		if user == nil && pod.RunAsUser == nil {
			plan.RunAsUser = r.config.Injected.RunAsUser
		}
	}
	if r.plan.Checkout != nil {
		r.readCheckoutUser(pod)
	}
}

// readCheckoutUser plans what the checkout needs beyond its user: root, its
// capabilities; another user that its image need not know, an /etc/passwd with
// it, because OpenSSH refuses to work for a user without an entry.
func (r *reading) readCheckoutUser(pod corev1.PodSecurityContext) {
	plan := &r.plan.User
	user, group := firstSet(plan.RunAsUser, pod.RunAsUser), firstSet(plan.RunAsGroup, pod.RunAsGroup)
	switch {
	case ptr.Deref(user, 0) != 0:
		if !mountsPath(r.plan.Checkout.Mounts, passwdPath) {
			plan.Passwd = passwd(*user, ptr.Deref(group, 0))
		}
	case ptr.Deref(plan.RunAsNonRoot, false) || r.config.PodSecurity == PodSecurityRestricted:
	case user == nil && r.config.Injected.RunAsUser == nil:
		// The platform assigns users, and would refuse the capabilities.
	default:
		plan.CheckoutCapabilities = rootCheckoutCapabilities
	}
}

// passwd returns an /etc/passwd with root and the user. Its shell is one that
// every agent image has.
func passwd(user, group int64) string {
	return "root:x:0:0:root:/root:/bin/sh\n" +
		fmt.Sprintf("buildkite:x:%d:%d:Buildkite job:%s:/bin/sh\n", user, group, contract.HomesPath+"/"+contract.CheckoutContainer)
}

// firstSet returns the first pointer that is not nil.
func firstSet[T any](pointers ...*T) *T {
	for _, pointer := range pointers {
		if pointer != nil {
			return pointer
		}
	}
	return nil
}

func (r *reading) jobSecurityContexts() []corev1.SecurityContext {
	var contexts []corev1.SecurityContext
	for _, planned := range r.plan.Containers {
		container := findContainer(r.pod.Spec.Containers, planned.Name)
		contexts = append(contexts, ptr.Deref(container.SecurityContext, corev1.SecurityContext{}))
	}
	return contexts
}

// agreed returns the value that all contexts set, or nil if they differ or one
// leaves it to the pod.
func agreed(contexts []corev1.SecurityContext, value func(corev1.SecurityContext) *int64) *int64 {
	if len(contexts) == 0 {
		return nil
	}
	first := value(contexts[0])
	for _, context := range contexts {
		if !ptr.Equal(first, value(context)) {
			return nil
		}
	}
	return first
}

// demandsNonRoot reports whether the pod, or every job container by itself,
// demands a user other than root, as the restricted Pod Security Standard has it.
func demandsNonRoot(pod corev1.PodSecurityContext, contexts []corev1.SecurityContext) bool {
	if ptr.Deref(pod.RunAsNonRoot, false) {
		return true
	}
	for _, context := range contexts {
		if !ptr.Deref(context.RunAsNonRoot, false) {
			return false
		}
	}
	return len(contexts) > 0
}

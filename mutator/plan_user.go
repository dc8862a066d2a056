package mutator

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

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
	if !demandsNonRoot(pod, contexts) {
		return
	}
	plan.RunAsNonRoot = new(true)
	if user == nil && pod.RunAsUser == nil {
		plan.RunAsUser = r.config.Injected.RunAsUser
	}
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

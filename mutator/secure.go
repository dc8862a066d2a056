package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// secure sets what the platform wants of the author's containers: pull policies,
// and with podSecurity: restricted all that the standard of that name asks for
// and the pod says nothing about. What the pod says stays: a namespace that
// enforces the standard then refuses the pod with its own sentence.
//
// Containers beside the job, of other webhooks, are left as they are.
func (r *reading) secure() {
	containers := r.securedContainers()
	if r.config.Policy.AlwaysPullImages {
		r.pullAlways(containers)
	}
	if r.config.PodSecurity != PodSecurityRestricted {
		return
	}
	if r.pod.Spec.SecurityContext == nil {
		r.pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	context := r.pod.Spec.SecurityContext
	for _, container := range containers {
		r.secureContainer(container, *context)
	}
	demandNonRoot(containers, context)
	if context.SeccompProfile == nil {
		context.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
}

// securedContainers are the init containers, the job containers and the
// services.
func (r *reading) securedContainers() []*corev1.Container {
	var containers []*corev1.Container
	for i := range r.pod.Spec.InitContainers {
		containers = append(containers, &r.pod.Spec.InitContainers[i])
	}
	for _, index := range r.jobContainers {
		containers = append(containers, &r.pod.Spec.Containers[index])
	}
	// The plugin's lists are the reading's own, as the pod is.
	for i := range r.plugin.Sidecars {
		containers = append(containers, &r.plugin.Sidecars[i])
	}
	return containers
}

func (r *reading) secureContainer(container *corev1.Container, pod corev1.PodSecurityContext) {
	if container.SecurityContext == nil {
		container.SecurityContext = &corev1.SecurityContext{}
	}
	context := container.SecurityContext
	if context.Capabilities == nil {
		context.Capabilities = &corev1.Capabilities{}
	}
	if len(context.Capabilities.Drop) == 0 {
		context.Capabilities.Drop = []corev1.Capability{allCapabilities}
	}
	// Kubernetes takes a container that may not gain privileges it already has
	// for a mistake.
	privileged := ptr.Deref(context.Privileged, false) || slices.ContainsFunc(context.Capabilities.Add, func(added corev1.Capability) bool {
		return normalCapability(added) == "SYS_ADMIN"
	})
	if context.AllowPrivilegeEscalation == nil && !privileged {
		context.AllowPrivilegeEscalation = new(false)
	}
	// Most images run as root. One that does not keeps its user if the pod says
	// runAsNonRoot, which is how an author says so.
	saysUser := firstSet(context.RunAsUser, pod.RunAsUser) != nil
	saysNonRoot := firstSet(context.RunAsNonRoot, pod.RunAsNonRoot) != nil
	if !saysUser && !saysNonRoot && !privileged {
		context.RunAsUser = copyOf(r.config.Injected.RunAsUser)
	}
}

// demandNonRoot demands a user other than root of the pod, or where a container
// says that it is root's, of the others.
func demandNonRoot(containers []*corev1.Container, pod *corev1.PodSecurityContext) {
	if pod.RunAsNonRoot != nil {
		return
	}
	isRoot := func(container *corev1.Container) bool {
		user := firstSet(container.SecurityContext.RunAsUser, pod.RunAsUser)
		return user != nil && *user == 0 || ptr.Deref(container.SecurityContext.Privileged, false)
	}
	if !slices.ContainsFunc(containers, isRoot) {
		pod.RunAsNonRoot = new(true)
		return
	}
	for _, container := range containers {
		if context := container.SecurityContext; context.RunAsNonRoot == nil && !isRoot(container) {
			context.RunAsNonRoot = new(true)
		}
	}
}

// copyOf keeps pods from sharing a part of the configuration.
func copyOf[T any](pointer *T) *T {
	if pointer == nil {
		return nil
	}
	return new(*pointer)
}

// pullAlways has the kubelet ask the registry for images, and so whether the
// pod may have them, although the node has a copy.
func (r *reading) pullAlways(containers []*corev1.Container) {
	for _, container := range containers {
		container.ImagePullPolicy = corev1.PullAlways
	}
	for i := range r.pod.Spec.Volumes {
		if image := r.pod.Spec.Volumes[i].Image; image != nil {
			image.PullPolicy = corev1.PullAlways
		}
	}
}

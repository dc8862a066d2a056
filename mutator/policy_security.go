package mutator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// hostAccess is about the node's own namespaces.
func (i *inspection) hostAccess() {
	if i.policy.HostNamespaces {
		return
	}
	spec := &i.pod.Spec
	for _, switched := range []struct {
		on   bool
		name string
	}{{spec.HostNetwork, "hostNetwork"}, {spec.HostPID, "hostPID"}, {spec.HostIPC, "hostIPC"}} {
		if switched.on {
			i.add("hostNamespaces", switched.name, specPath.Child(switched.name), askPlatform)
		}
	}
	for _, container := range i.containers {
		for index, port := range container.Ports {
			if port.HostPort != 0 {
				i.add("hostNamespaces", container.Name+" hostPort", container.path.Child("ports").Index(index).Child("hostPort"), askPlatform)
			}
		}
		i.otherHosts(container)
	}
}

// otherHosts finds probes and hooks that the kubelet would send elsewhere than
// to the pod, from the node's network.
func (i *inspection) otherHosts(container placed) {
	check := func(path *field.Path, request *corev1.HTTPGetAction, socket *corev1.TCPSocketAction) {
		if request != nil && request.Host != "" {
			i.add("hostNamespaces", container.Name+" host", path.Child("httpGet", "host"), askPlatform)
		}
		if socket != nil && socket.Host != "" {
			i.add("hostNamespaces", container.Name+" host", path.Child("tcpSocket", "host"), askPlatform)
		}
	}
	for _, probe := range []struct {
		name  string
		probe *corev1.Probe
	}{{"livenessProbe", container.LivenessProbe}, {"readinessProbe", container.ReadinessProbe}, {"startupProbe", container.StartupProbe}} {
		if probe.probe != nil {
			check(container.path.Child(probe.name), probe.probe.HTTPGet, probe.probe.TCPSocket)
		}
	}
	if container.Lifecycle == nil {
		return
	}
	for _, hook := range []struct {
		name string
		hook *corev1.LifecycleHandler
	}{{"postStart", container.Lifecycle.PostStart}, {"preStop", container.Lifecycle.PreStop}} {
		if hook.hook != nil {
			check(container.path.Child("lifecycle", hook.name), hook.hook.HTTPGet, hook.hook.TCPSocket)
		}
	}
}

// podContext is about what the pod's security context gives all containers.
func (i *inspection) podContext() {
	if ptr.Deref(i.pod.Spec.ShareProcessNamespace, false) && !i.policy.ShareProcessNamespace {
		i.add("shareProcessNamespace", "", specPath.Child("shareProcessNamespace"),
			"all containers could read what the agent can, its token included; remove it, or ask your platform team")
	}
	i.appArmorAnnotations()
	context := i.pod.Spec.SecurityContext
	if context == nil {
		return
	}
	path := specPath.Child("securityContext")
	sysctls := i.policy.Sysctls.or(baselineSysctls)
	for index, sysctl := range context.Sysctls {
		i.listed("sysctls", sysctls, sysctl.Name, path.Child("sysctls").Index(index).Child("name"))
	}
	i.confinement("", path, context.SeccompProfile, context.AppArmorProfile, context.SELinuxOptions)
	i.windows("", path, context.WindowsOptions)
}

func (i *inspection) container(container placed) {
	context := container.SecurityContext
	path := container.path.Child("securityContext")
	if !ptr.Deref(i.policy.AllowPrivilegeEscalation, true) && ptr.Deref(ptr.Deref(context, corev1.SecurityContext{}).AllowPrivilegeEscalation, !i.platforms) {
		i.add("allowPrivilegeEscalation", container.Name, path.Child("allowPrivilegeEscalation"),
			"the platform's policy wants false; set it, or ask your platform team")
	}
	if context == nil {
		return
	}
	if !i.policy.Privileged {
		if ptr.Deref(context.Privileged, false) {
			i.add("privileged", container.Name, path.Child("privileged"), askPlatform)
		}
		// In a user namespace of its own a pod cannot harm the node this way.
		inUserNamespace := !ptr.Deref(i.pod.Spec.HostUsers, true)
		if ptr.Deref(context.ProcMount, corev1.DefaultProcMount) != corev1.DefaultProcMount && !inUserNamespace {
			i.add("privileged", container.Name+" procMount", path.Child("procMount"), askPlatform)
		}
	}
	i.capabilities(container.Name, path.Child("capabilities", "add"), context.Capabilities)
	i.confinement(container.Name, path, context.SeccompProfile, context.AppArmorProfile, context.SELinuxOptions)
	i.windows(container.Name, path, context.WindowsOptions)
}

// allCapabilities stands for every one of them.
const allCapabilities = "ALL"

func (i *inspection) capabilities(container string, path *field.Path, capabilities *corev1.Capabilities) {
	if capabilities == nil {
		return
	}
	list := i.policy.Capabilities.or(baselineCapabilities)
	for index, capability := range capabilities.Add {
		name := normalCapability(capability)
		objection := list.objection(name)
		switch {
		case objection != "" || list.permitsAll():
		case name == allCapabilities && len(list.Deny) > 0:
			objection = "the platform's policy denies " + someOf(list.Deny) + "; name the capabilities that you need, or ask your platform team"
		case name != string(capability):
			objection = fmt.Sprintf("the platform's policy and Pod Security know it as %s; write it so", name)
		}
		if objection != "" {
			i.add("capabilities", container+" "+name, path.Index(index), objection)
		}
	}
}

// normalCapability is a capability's name as policies have it: container
// runtimes take lower case too.
func normalCapability(capability corev1.Capability) string {
	return strings.TrimPrefix(strings.ToUpper(string(capability)), "CAP_")
}

// containerSELinuxTypes are the types of containers of the baseline Pod Security
// Standard.
var containerSELinuxTypes = []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

// confinement finds what takes a container out of the kernel's security modules.
func (i *inspection) confinement(container string, path *field.Path, seccomp *corev1.SeccompProfile, appArmor *corev1.AppArmorProfile, seLinux *corev1.SELinuxOptions) {
	if i.policy.Unconfined {
		return
	}
	if seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeUnconfined {
		i.add("unconfined", container+" seccomp", path.Child("seccompProfile", "type"), askPlatform)
	}
	if appArmor != nil && appArmor.Type == corev1.AppArmorProfileTypeUnconfined {
		i.add("unconfined", container+" appArmor", path.Child("appArmorProfile", "type"), askPlatform)
	}
	if seLinux == nil {
		return
	}
	if seLinux.User != "" {
		i.add("unconfined", container+" user "+seLinux.User, path.Child("seLinuxOptions", "user"), askPlatform)
	}
	if seLinux.Role != "" {
		i.add("unconfined", container+" role "+seLinux.Role, path.Child("seLinuxOptions", "role"), askPlatform)
	}
	if !slices.Contains(containerSELinuxTypes, seLinux.Type) {
		i.add("unconfined", container+" type "+seLinux.Type, path.Child("seLinuxOptions", "type"), askPlatform)
	}
}

// appArmorAnnotations finds the older form of the AppArmor profile, which
// Kubernetes still honours.
func (i *inspection) appArmorAnnotations() {
	if i.policy.Unconfined {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(i.pod.Annotations)) {
		profile := i.pod.Annotations[key]
		confined := profile == "" || profile == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault ||
			strings.HasPrefix(profile, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) && !confined {
			i.add("unconfined", key, annotationsPath.Key(key), askPlatform)
		}
	}
}

func (i *inspection) windows(container string, path *field.Path, options *corev1.WindowsSecurityContextOptions) {
	if options != nil && ptr.Deref(options.HostProcess, false) && !i.policy.Privileged {
		i.add("privileged", container+" hostProcess", path.Child("windowsOptions", "hostProcess"), askPlatform)
	}
}

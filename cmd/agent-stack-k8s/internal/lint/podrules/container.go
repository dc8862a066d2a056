package podrules

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// containers checks all containers, and what they may not have in common.
func (c *checker) containers(spec *field.Path) {
	names := map[string]bool{}
	hostPorts := map[string]bool{}
	for i := range c.spec.Containers {
		container, path := &c.spec.Containers[i], spec.Child("containers").Index(i)
		c.container(container, path)
		c.name(container, path, names)
		c.hostPorts(container, path, hostPorts)
		c.running(container, path)
	}
	for i := range c.spec.InitContainers {
		container, path := &c.spec.InitContainers[i], spec.Child("initContainers").Index(i)
		c.container(container, path)
		c.name(container, path, names)
		c.hostPorts(container, path, map[string]bool{})
		if deref(container.RestartPolicy) == corev1.ContainerRestartPolicyAlways {
			c.running(container, path)

			continue
		}
		c.initOnly(container, path)
	}
}

func (c *checker) name(container *corev1.Container, path *field.Path, names map[string]bool) {
	if names[container.Name] && container.Name != "" {
		c.add(field.Duplicate(path.Child("name"), container.Name))
	}
	names[container.Name] = true
}

// container checks what all kinds of containers have.
func (c *checker) container(container *corev1.Container, path *field.Path) {
	if c.required(path.Child("name"), container.Name, "name the container") {
		c.problems(path.Child("name"), container.Name, validation.IsDNS1123Label(container.Name))
	}
	c.required(path.Child("image"), container.Image, "name an image")
	oneOf(c, path.Child("imagePullPolicy"), container.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	oneOf(c, path.Child("terminationMessagePolicy"), container.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	c.ports(container.Ports, path.Child("ports"))
	c.env(container.Env, path.Child("env"))
	c.envFrom(container.EnvFrom, path.Child("envFrom"))
	c.mounts(container, path.Child("volumeMounts"))
	c.devices(container, path.Child("volumeDevices"))
	c.resources(&container.Resources, path.Child("resources"))
	c.resizing(container.ResizePolicy, path.Child("resizePolicy"))
	c.security(container.SecurityContext, path.Child("securityContext"))
}

// running checks the hooks and probes of a container that runs beside others.
func (c *checker) running(container *corev1.Container, path *field.Path) {
	if hooks := container.Lifecycle; hooks != nil {
		for _, hook := range []struct {
			name    string
			handler *corev1.LifecycleHandler
		}{{"postStart", hooks.PostStart}, {"preStop", hooks.PreStop}} {
			if hook.handler != nil {
				c.handler(handler{exec: hook.handler.Exec, http: hook.handler.HTTPGet, tcp: hook.handler.TCPSocket, sleep: hook.handler.Sleep}, path.Child("lifecycle", hook.name))
			}
		}
		if hooks.StopSignal != nil && c.spec.OS == nil {
			c.add(field.Forbidden(path.Child("lifecycle", "stopSignal"), "the pod has to say its os: {name: linux} for this; add that, or remove the field"))
		}
	}
	c.probe(container.LivenessProbe, path.Child("livenessProbe"), true)
	c.probe(container.ReadinessProbe, path.Child("readinessProbe"), false)
	c.probe(container.StartupProbe, path.Child("startupProbe"), true)
	if probe := container.ReadinessProbe; probe != nil && probe.TerminationGracePeriodSeconds != nil {
		c.invalid(path.Child("readinessProbe", "terminationGracePeriodSeconds"), *probe.TerminationGracePeriodSeconds, "a readiness probe ends nothing; remove the field")
	}
}

// initOnly refuses what an init container that ends before the job cannot have.
func (c *checker) initOnly(container *corev1.Container, path *field.Path) {
	for _, one := range []struct {
		name string
		set  bool
	}{
		{"lifecycle", container.Lifecycle != nil},
		{"livenessProbe", container.LivenessProbe != nil},
		{"readinessProbe", container.ReadinessProbe != nil},
		{"startupProbe", container.StartupProbe != nil},
	} {
		if one.set {
			c.add(field.Forbidden(path.Child(one.name), "an init container ends before the job begins; remove the field, or set restartPolicy: Always if it is a service"))
		}
	}
}

func (c *checker) ports(ports []corev1.ContainerPort, path *field.Path) {
	names := map[string]bool{}
	for i, port := range ports {
		at := path.Index(i)
		switch {
		case port.Name == "":
		case len(validation.IsValidPortName(port.Name)) > 0:
			c.problems(at.Child("name"), port.Name, validation.IsValidPortName(port.Name))
		case names[port.Name]:
			c.add(field.Duplicate(at.Child("name"), port.Name))
		}
		names[port.Name] = true
		if port.ContainerPort == 0 {
			c.add(field.Required(at.Child("containerPort"), "give the port that the container listens on"))
		} else {
			c.problems(at.Child("containerPort"), port.ContainerPort, validation.IsValidPortNum(int(port.ContainerPort)))
		}
		if port.HostPort != 0 {
			c.problems(at.Child("hostPort"), port.HostPort, validation.IsValidPortNum(int(port.HostPort)))
			if c.spec.HostNetwork && port.HostPort != port.ContainerPort {
				c.invalid(at.Child("hostPort"), port.HostPort, "with hostNetwork it is the same as containerPort; remove it")
			}
		}
		oneOf(c, at.Child("protocol"), port.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
	}
}

// hostPorts refuses two containers that want the same port of the node.
func (c *checker) hostPorts(container *corev1.Container, path *field.Path, taken map[string]bool) {
	for i, port := range container.Ports {
		host := port.HostPort
		if c.spec.HostNetwork {
			host = port.ContainerPort
		}
		if host == 0 {
			continue
		}
		protocol := port.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		key := fmt.Sprintf("%s/%s/%d", protocol, port.HostIP, host)
		if taken[key] {
			c.add(field.Duplicate(path.Child("ports").Index(i).Child("hostPort"), key))
		}
		taken[key] = true
	}
}

// resizing is about changing resources in place, for which a pod that never
// restarts has one policy.
func (c *checker) resizing(policies []corev1.ContainerResizePolicy, path *field.Path) {
	for i, policy := range policies {
		oneOf(c, path.Index(i).Child("resourceName"), policy.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)
		if policy.RestartPolicy != "" && policy.RestartPolicy != corev1.NotRequired && c.spec.RestartPolicy == corev1.RestartPolicyNever {
			c.invalid(path.Index(i).Child("restartPolicy"), policy.RestartPolicy, "a job's pod never restarts containers; want NotRequired")
		}
	}
}

// sortedKeys makes the order of findings that of the names.
func sortedKeys[K ~string, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

package mutator

import (
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Policy is what the authors of pods may not do. It is about what they wrote:
// what the platform's own settings put into a pod (podSpecPatch, resource
// classes, default params and metadata) is not held against it. It is checked
// when a pod is injected, on the merged pod. With the defaults a pod of an author
// satisfies the baseline Pod Security Standard.
type Policy struct {
	// ServiceAccounts are names for serviceAccountName. Default allow: [default].
	ServiceAccounts PolicyList `json:"serviceAccounts,omitzero"`
	// ServiceAccountTokens permits tokens of the service account in the pod:
	// automountServiceAccountToken, projected volumes. Default true.
	ServiceAccountTokens *bool `json:"serviceAccountTokens,omitempty"`

	// HostNamespaces permits hostNetwork, hostPID, hostIPC, host ports, and probes
	// and lifecycle hooks of another host. Default false.
	HostNamespaces bool `json:"hostNamespaces,omitempty"`
	// HostPath permits directories of the node.
	HostPath HostPathPolicy `json:"hostPath,omitzero"`
	// Privileged permits privileged containers, an unmasked /proc outside user
	// namespaces, and Windows host processes. Default false.
	Privileged bool `json:"privileged,omitempty"`
	// Unconfined permits to switch off seccomp or AppArmor, and to choose SELinux
	// users, roles and types that are not containers'. Default false.
	Unconfined bool `json:"unconfined,omitempty"`
	// Capabilities are those that containers may add, without CAP_. Default
	// allow: the ones of the baseline Pod Security Standard.
	Capabilities PolicyList `json:"capabilities,omitzero"`
	// Sysctls are kernel parameters. Default allow: the baseline standard's.
	Sysctls PolicyList `json:"sysctls,omitzero"`
	// ShareProcessNamespace permits that containers see each other's processes,
	// the agent's too. Default false.
	ShareProcessNamespace bool `json:"shareProcessNamespace,omitempty"`
	// AllowPrivilegeEscalation permits programs to gain privileges, as sudo does.
	// Where it is false, containers must set allowPrivilegeEscalation: false.
	// Default true.
	AllowPrivilegeEscalation *bool `json:"allowPrivilegeEscalation,omitempty"`

	// NodeName permits to choose a node past the scheduler. Default false.
	NodeName bool `json:"nodeName,omitempty"`
	// NodeSelector and NodeAffinity are keys of node labels. Default everything.
	NodeSelector PolicyList `json:"nodeSelector,omitzero"`
	NodeAffinity PolicyList `json:"nodeAffinity,omitzero"`
	// Tolerations are keys of taints. A toleration without a key is of every
	// taint. Default deny: [node-role.kubernetes.io/*].
	Tolerations PolicyList `json:"tolerations,omitzero"`
	// SchedulerNames are schedulers beside default-scheduler. Default everything.
	SchedulerNames PolicyList `json:"schedulerNames,omitzero"`
	// PriorityClasses are names for priorityClassName. Kubernetes fills in the
	// cluster's default class before the check. Default deny: [system-*].
	PriorityClasses PolicyList `json:"priorityClasses,omitzero"`
	// RuntimeClasses are names for runtimeClassName. Default everything.
	RuntimeClasses PolicyList `json:"runtimeClasses,omitzero"`

	// Images are complete references of containers' images and image volumes:
	// alpine is docker.io/library/alpine:latest. A pattern's registry, up to the
	// first slash, is compared with the image's registry, the rest with the rest.
	// Default everything.
	Images PolicyList `json:"images,omitzero"`
	// AlwaysPullImages sets the pull policy of the author's images to Always, so
	// that a node's copy of a private image serves only those who may pull it.
	// Default false.
	AlwaysPullImages bool `json:"alwaysPullImages,omitempty"`
	// AgentImages are images for the annotation buildkite.com/agent-image, as in
	// Images. Default allow: any tag and digest of the configured agentImage.
	AgentImages PolicyList `json:"agentImages,omitzero"`
	// AgentTokenSecrets are names for the annotation
	// buildkite.com/agent-token-secret. What is allowed here is protected as the
	// configured Secret is. Default allow: the configured agentTokenSecret.
	AgentTokenSecrets PolicyList `json:"agentTokenSecrets,omitzero"`

	// Secrets are names of Secrets in env, envFrom and volumes. Default
	// everything but what is protected.
	Secrets PolicyList `json:"secrets,omitzero"`
	// ImagePullSecrets are names of Secrets to pull images with. Kubernetes fills
	// in the service account's before the check. Default everything but what is
	// protected.
	ImagePullSecrets PolicyList `json:"imagePullSecrets,omitzero"`
	// PersistentVolumeClaims are names of claims. Default everything.
	PersistentVolumeClaims PolicyList `json:"persistentVolumeClaims,omitzero"`
	// Volumes are types of volumes, as in emptyDir, secret, projected. HostPath
	// has its own rule beside this one. Default everything.
	Volumes PolicyList `json:"volumes,omitzero"`

	// Labels and Annotations are keys; buildkite.com's own and those that
	// Kubernetes' controllers write need not be named. Default everything.
	Labels      PolicyList `json:"labels,omitzero"`
	Annotations PolicyList `json:"annotations,omitzero"`
	// Finalizers keep deleted pods. Default allow: those of Jobs and of Kueue.
	Finalizers PolicyList `json:"finalizers,omitzero"`
	// SchedulingGates are gates beside our own. Default everything.
	SchedulingGates PolicyList `json:"schedulingGates,omitzero"`

	// MaxActiveDeadlineSeconds and MaxTerminationGracePeriodSeconds bound what
	// authors ask for. Default no bound.
	MaxActiveDeadlineSeconds         *int64 `json:"maxActiveDeadlineSeconds,omitempty"`
	MaxTerminationGracePeriodSeconds *int64 `json:"maxTerminationGracePeriodSeconds,omitempty"`
}

// HostPathPolicy is which directories of the node authors may mount.
type HostPathPolicy struct {
	// Allow are directories; what is below them is allowed too. Default none.
	Allow []string `json:"allow,omitzero"`
	// Writable permits mounts that are not read-only. A job that can write to a
	// directory of the node can put a symbolic link there, mount that, and so
	// leave the allowed directories. Default false.
	Writable bool `json:"writable,omitempty"`
}

// NamespaceConfig is what differs in a namespace.
type NamespaceConfig struct {
	// Policy and PodSecurity replace those of the configuration if they are set.
	Policy      *Policy `json:"policy,omitempty"`
	PodSecurity *string `json:"podSecurity,omitempty"`
}

// PodSecurityRestricted is the name of the Pod Security Standard.
const PodSecurityRestricted = "restricted"

var (
	defaultServiceAccounts = PolicyList{Allow: []string{"default"}}
	defaultTolerations     = PolicyList{Allow: everything.Allow, Deny: []string{"node-role.kubernetes.io/*"}}
	defaultPriorityClasses = PolicyList{Allow: everything.Allow, Deny: []string{"system-*"}}
	defaultFinalizers      = PolicyList{Allow: []string{"batch.kubernetes.io/job-tracking", "kueue.x-k8s.io/managed"}}

	// baselineCapabilities and baselineSysctls are what the baseline Pod Security
	// Standard permits.
	baselineCapabilities = PolicyList{Allow: []string{
		"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
		"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
	}}
	baselineSysctls = PolicyList{Allow: []string{
		"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
		"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
		"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
		"net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_rmem", "net.ipv4.tcp_slow_start_after_idle",
		"net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
	}}
)

// ForNamespace returns the configuration as it is in a namespace.
func (c Config) ForNamespace(namespace string) Config {
	override, exists := c.Namespaces[namespace]
	if !exists {
		return c
	}
	// The digest stays that of the whole file: it is what people look up.
	c.digest = c.Digest()
	if override.Policy != nil {
		c.Policy = *override.Policy
	}
	if override.PodSecurity != nil {
		c.PodSecurity = *override.PodSecurity
	}
	return c
}

func (c Config) validatePolicies() field.ErrorList {
	errs := c.Policy.validate(field.NewPath("policy"))
	errs = append(errs, validatePodSecurity(field.NewPath("podSecurity"), c.PodSecurity)...)
	for i, pattern := range c.ProtectedSecrets {
		if pattern == "" || pattern == "*" {
			errs = append(errs, field.Invalid(field.NewPath("protectedSecrets").Index(i), pattern, "want the name of a Secret, perhaps with * in it"))
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(c.Namespaces)) {
		at := field.NewPath("namespaces").Key(namespace)
		for _, problem := range validation.IsDNS1123Label(namespace) {
			errs = append(errs, field.Invalid(at, namespace, problem))
		}
		override := c.Namespaces[namespace]
		if override.Policy != nil {
			errs = append(errs, override.Policy.validate(at.Child("policy"))...)
		}
		if override.PodSecurity != nil {
			errs = append(errs, validatePodSecurity(at.Child("podSecurity"), *override.PodSecurity)...)
		}
	}
	return errs
}

func validatePodSecurity(path *field.Path, level string) field.ErrorList {
	if level == "" || level == PodSecurityRestricted {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, level, []string{"", PodSecurityRestricted})}
}

func (p Policy) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		key     string
		list    PolicyList
		problem func(string) string
	}{
		{"serviceAccounts", p.ServiceAccounts, nil},
		{"capabilities", p.Capabilities, capabilityProblem},
		{"sysctls", p.Sysctls, nil},
		{"nodeSelector", p.NodeSelector, nil},
		{"nodeAffinity", p.NodeAffinity, nil},
		{"tolerations", p.Tolerations, nil},
		{"schedulerNames", p.SchedulerNames, nil},
		{"priorityClasses", p.PriorityClasses, nil},
		{"runtimeClasses", p.RuntimeClasses, nil},
		{"images", p.Images, imagePatternProblem},
		{"agentImages", p.AgentImages, imagePatternProblem},
		{"agentTokenSecrets", p.AgentTokenSecrets, nil},
		{"secrets", p.Secrets, nil},
		{"imagePullSecrets", p.ImagePullSecrets, nil},
		{"persistentVolumeClaims", p.PersistentVolumeClaims, nil},
		{"volumes", p.Volumes, volumeTypeProblem},
		{"labels", p.Labels, nil},
		{"annotations", p.Annotations, nil},
		{"finalizers", p.Finalizers, nil},
		{"schedulingGates", p.SchedulingGates, nil},
	} {
		if list.problem == nil {
			errs = append(errs, list.list.validate(at.Child(list.key))...)
			continue
		}
		errs = append(errs, list.list.validateBy(at.Child(list.key), list.problem)...)
	}
	for i, directory := range p.HostPath.Allow {
		if !path.IsAbs(directory) || path.Clean(directory) != strings.TrimSuffix(directory, "/") && directory != "/" {
			errs = append(errs, field.Invalid(at.Child("hostPath", "allow").Index(i), directory, "want a directory's absolute path, without . and .."))
		}
	}
	for key, bound := range map[string]*int64{"maxActiveDeadlineSeconds": p.MaxActiveDeadlineSeconds, "maxTerminationGracePeriodSeconds": p.MaxTerminationGracePeriodSeconds} {
		if bound != nil && *bound <= 0 {
			errs = append(errs, field.Invalid(at.Child(key), *bound, "want a number of seconds above 0; leave it out for no bound"))
		}
	}
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}

func capabilityProblem(pattern string) string {
	if pattern != normalCapability(corev1.Capability(pattern)) {
		return "want capital letters and no CAP_, as in NET_ADMIN"
	}
	return ""
}

func imagePatternProblem(pattern string) string {
	if pattern == "*" || strings.Contains(pattern, "/") {
		return ""
	}
	return "name the registry too, as in docker.io/library/alpine:*"
}

func volumeTypeProblem(pattern string) string {
	if strings.Contains(pattern, "*") || slices.Contains(volumeTypes, pattern) {
		return ""
	}
	if near := nearest(pattern, volumeTypes); near != "" {
		return "no such type of volume; did you mean " + near + "?"
	}
	return "no such type of volume"
}

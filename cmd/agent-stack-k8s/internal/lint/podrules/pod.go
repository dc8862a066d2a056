// Package podrules foretells what the API server would say to a pod: the rules of
// Kubernetes that people run into, in words that say what to do. It refuses
// nothing that Kubernetes takes, and not all that Kubernetes refuses: a test
// against a real API server holds it to the one and prints the share of the
// other. Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1
package podrules

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Check reports what is wrong with a pod as it would be after admission. Paths
// are those of the pod.
func Check(pod *corev1.Pod) field.ErrorList {
	c := &checker{spec: &pod.Spec, volumes: map[string]corev1.VolumeSource{}}
	spec := field.NewPath("spec")
	c.podVolumes(spec.Child("volumes"))
	c.containers(spec)
	c.identity(spec)
	c.durations(spec)
	c.host(spec)
	c.network(spec)
	c.podSecurity(spec.Child("securityContext"))
	c.tolerations(spec.Child("tolerations"))
	c.affinity(spec.Child("affinity"))
	c.spread(spec.Child("topologySpreadConstraints"))
	c.claims(spec.Child("resourceClaims"))
	c.gates(spec)

	return c.errs
}

type checker struct {
	spec *corev1.PodSpec
	// volumes are the pod's by name.
	volumes map[string]corev1.VolumeSource
	errs    field.ErrorList
}

func (c *checker) add(err *field.Error) {
	c.errs = append(c.errs, err)
}

func (c *checker) invalid(path *field.Path, value any, advice string) {
	c.add(field.Invalid(path, value, advice))
}

// problems reports what a function of apimachinery found, as one finding.
func (c *checker) problems(path *field.Path, value any, problems []string) {
	if len(problems) > 0 {
		c.invalid(path, value, strings.Join(problems, "; "))
	}
}

func (c *checker) required(path *field.Path, value, advice string) bool {
	if value == "" {
		c.add(field.Required(path, advice))
	}

	return value != ""
}

// oneOf reports a value that is none of those that there are. Empty is left to
// the default.
func oneOf[T ~string](c *checker, path *field.Path, value T, values ...T) {
	if value != "" && !slices.Contains(values, value) {
		c.add(field.NotSupported(path, value, values))
	}
}

func deref[T any](pointer *T) (value T) {
	if pointer != nil {
		return *pointer
	}

	return value
}

func (c *checker) identity(spec *field.Path) {
	for _, name := range []struct {
		path  string
		value string
	}{
		{"serviceAccountName", c.spec.ServiceAccountName},
		{"nodeName", c.spec.NodeName},
		{"priorityClassName", c.spec.PriorityClassName},
		{"runtimeClassName", deref(c.spec.RuntimeClassName)},
	} {
		if name.value != "" {
			c.problems(spec.Child(name.path), name.value, validation.IsDNS1123Subdomain(name.value))
		}
	}
	for _, name := range []struct {
		path  string
		value string
	}{{"hostname", c.spec.Hostname}, {"subdomain", c.spec.Subdomain}} {
		if name.value != "" {
			c.problems(spec.Child(name.path), name.value, validation.IsDNS1123Label(name.value))
		}
	}
	oneOf(c, spec.Child("preemptionPolicy"), deref(c.spec.PreemptionPolicy), corev1.PreemptLowerPriority, corev1.PreemptNever)
}

func (c *checker) durations(spec *field.Path) {
	if seconds := c.spec.ActiveDeadlineSeconds; seconds != nil && (*seconds < 1 || *seconds > math.MaxInt32) {
		c.invalid(spec.Child("activeDeadlineSeconds"), *seconds, "want a number of seconds from 1 to 2147483647")
	}
}

// host is about what a pod shares with its node.
func (c *checker) host(spec *field.Path) {
	if deref(c.spec.ShareProcessNamespace) && c.spec.HostPID {
		c.invalid(spec.Child("shareProcessNamespace"), true, "the pod has the node's processes already by hostPID; remove one of them")
	}
	if c.spec.HostUsers == nil || *c.spec.HostUsers {
		return
	}
	for _, one := range []struct {
		path string
		set  bool
	}{{"hostPID", c.spec.HostPID}, {"hostIPC", c.spec.HostIPC}} {
		if one.set {
			c.add(field.Forbidden(spec.Child(one.path), "not together with hostUsers: false; remove one of them"))
		}
	}
}

// Limits of a pod's DNS settings.
const (
	maxNameservers  = 3
	maxSearches     = 32
	maxSearchLength = 2048
)

func (c *checker) network(spec *field.Path) {
	oneOf(c, spec.Child("dnsPolicy"), c.spec.DNSPolicy, corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)
	path, config := spec.Child("dnsConfig"), c.spec.DNSConfig
	if c.spec.DNSPolicy == corev1.DNSNone && (config == nil || len(config.Nameservers) == 0) {
		c.add(field.Required(path.Child("nameservers"), "dnsPolicy None needs a name server; add one, or remove dnsPolicy"))
	}
	if config != nil {
		if len(config.Nameservers) > maxNameservers {
			c.add(field.TooMany(path.Child("nameservers"), len(config.Nameservers), maxNameservers))
		}
		for i, server := range config.Nameservers {
			c.address(path.Child("nameservers").Index(i), server)
		}
		if len(config.Searches) > maxSearches || len(strings.Join(config.Searches, " ")) > maxSearchLength {
			c.add(field.TooLong(path.Child("searches"), "", maxSearchLength))
		}
		for i, option := range config.Options {
			c.required(path.Child("options").Index(i), option.Name, "name the option")
		}
	}
	for i, alias := range c.spec.HostAliases {
		at := spec.Child("hostAliases").Index(i)
		c.address(at.Child("ip"), alias.IP)
		for j, name := range alias.Hostnames {
			c.problems(at.Child("hostnames").Index(j), name, validation.IsDNS1123Subdomain(name))
		}
	}
}

// address refuses what is no IP address in any way of writing one: Kubernetes
// takes leading zeros, which netip does not.
func (c *checker) address(path *field.Path, text string) {
	if _, err := netip.ParseAddr(text); err == nil {
		return
	}
	if strings.Trim(text, "0123456789.") == "" && strings.Count(text, ".") == 3 && !strings.Contains(text, "..") &&
		strings.Trim(text, ".") == text {
		return
	}
	c.invalid(path, text, "want an IP address such as 10.0.0.1")
}

func (c *checker) gates(spec *field.Path) {
	for i, gate := range c.spec.ReadinessGates {
		c.problems(spec.Child("readinessGates").Index(i).Child("conditionType"), string(gate.ConditionType), validation.IsQualifiedName(string(gate.ConditionType)))
	}
	if len(c.spec.EphemeralContainers) > 0 {
		c.add(field.Forbidden(spec.Child("ephemeralContainers"), "a new pod has none; remove the field"))
	}
	for _, name := range sortedKeys(c.spec.NodeSelector) {
		value := c.spec.NodeSelector[name]
		at := spec.Child("nodeSelector").Key(name)
		c.labelKey(at, name)
		c.problems(at, value, validation.IsValidLabelValue(value))
	}
	if os := c.spec.OS; os != nil && os.Name != corev1.Linux && os.Name != corev1.Windows {
		c.add(field.NotSupported(spec.Child("os", "name"), os.Name, []corev1.OSName{corev1.Linux, corev1.Windows}))
	}
}

func (c *checker) claims(path *field.Path) {
	seen := map[string]bool{}
	for i, claim := range c.spec.ResourceClaims {
		at := path.Index(i)
		if !c.required(at.Child("name"), claim.Name, "name the claim") {
			continue
		}
		c.problems(at.Child("name"), claim.Name, validation.IsDNS1123Label(claim.Name))
		if seen[claim.Name] {
			c.add(field.Duplicate(at.Child("name"), claim.Name))
		}
		seen[claim.Name] = true
		if (claim.ResourceClaimName == nil) == (claim.ResourceClaimTemplateName == nil) {
			c.invalid(at, field.OmitValueType{}, "give one of resourceClaimName and resourceClaimTemplateName")
		}
	}
}

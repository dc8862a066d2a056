package mutator

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// knownSidecars are containers that widely used webhooks add.
var knownSidecars = []string{
	"istio-proxy", "linkerd-proxy", "consul-dataplane", "envoy", "kuma-sidecar", "daprd",
	"vault-agent", "cloud-sql-proxy", "cloudsql-proxy", "alloydb-auth-proxy", "gke-gcsfuse-sidecar",
	"datadog-agent", "otc-container", "aws-otel-collector", "xray-daemon", "fluent-bit", "promtail", "filebeat",
	"azwi-proxy", "secrets-store-csi",
}

func defaultConfig() Config {
	return Config{
		AgentBinary:         "/usr/local/bin/buildkite-agent",
		AgentTokenSecret:    "buildkite-agent-token",
		Injected:            InjectedConfig{RunAsUser: ptr.To[int64](65532)},
		Interposer:          InterposerConfig{Dispatched: InterposerBuildkite, HandMade: InterposerVector},
		UnknownPluginFields: UnknownError,
		Delivery:            DeliveryInitContainer,
	}
}

// setDefaults fills in what is a list or map: decoding adds to such a default
// instead of replacing it.
func (r *InjectedResources) setDefaults() {
	setResources(&r.Agent, "20m", "48Mi")
	setResources(&r.Checkout, "10m", "48Mi")
	setResources(&r.Install, "10m", "16Mi")
}

func setResources(resources *corev1.ResourceRequirements, cpu, memory string) {
	if len(resources.Requests) == 0 && len(resources.Limits) == 0 {
		resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(cpu),
			corev1.ResourceMemory: resource.MustParse(memory),
		}
	}
}

// setsNull reports whether a document that was decoded before sets a nested
// key to null, which decoding cannot tell from leaving it out.
func setsNull(data []byte, keys ...string) bool {
	var document any
	if yaml.Unmarshal(data, &document) != nil {
		return false
	}
	for _, key := range keys {
		object, isObject := document.(map[string]any)
		if !isObject {
			return false
		}
		value, exists := object[key]
		if !exists {
			return false
		}
		document = value
	}
	return document == nil
}

func (c Config) validate() field.ErrorList {
	var errs field.ErrorList
	if c.APIVersion != ConfigAPIVersion {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{ConfigAPIVersion}))
	}
	if c.Kind != ConfigKind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{ConfigKind}))
	}
	errs = append(errs, validateImage(field.NewPath("agentImage"), c.AgentImage)...)
	errs = append(errs, validateImage(field.NewPath("entrypointImage"), c.EntrypointImage)...)
	errs = append(errs, validatePullPolicy(field.NewPath("agentImagePullPolicy"), c.AgentImagePullPolicy)...)
	errs = append(errs, validatePullPolicy(field.NewPath("entrypointImagePullPolicy"), c.EntrypointImagePullPolicy)...)
	errs = append(errs, validateSecretName(field.NewPath("agentTokenSecret"), c.AgentTokenSecret)...)
	if !path.IsAbs(c.AgentBinary) {
		errs = append(errs, field.Invalid(field.NewPath("agentBinary"), c.AgentBinary, "want an absolute path in the agent image"))
	}
	if user := c.Injected.RunAsUser; user != nil && *user <= 0 {
		errs = append(errs, field.Invalid(field.NewPath("injected", "runAsUser"), *user, "want a user ID other than root's, or null"))
	}
	errs = append(errs, c.Interposer.Dispatched.validate(field.NewPath("interposer", "dispatched"))...)
	errs = append(errs, c.Interposer.HandMade.validate(field.NewPath("interposer", "handMade"))...)
	if choices := []string{DeliveryInitContainer, DeliveryImageVolume}; !slices.Contains(choices, c.Delivery) {
		errs = append(errs, field.NotSupported(field.NewPath("delivery"), c.Delivery, choices))
	}
	errs = append(errs, c.Agent.validate(field.NewPath("agent"))...)
	errs = append(errs, c.Proxy.validate(field.NewPath("proxy"))...)
	errs = append(errs, c.CABundle.validate(field.NewPath("caBundle"))...)
	errs = append(errs, c.DefaultCheckoutParams.validate(field.NewPath("defaultCheckoutParams"))...)
	errs = append(errs, c.validateMerges()...)
	errs = append(errs, c.validatePolicies()...)
	if choices := []string{UnknownError, UnknownWarn}; !slices.Contains(choices, c.UnknownPluginFields) {
		errs = append(errs, field.NotSupported(field.NewPath("unknownPluginFields"), c.UnknownPluginFields, choices))
	}
	return errs
}

func validateImage(path *field.Path, image string) field.ErrorList {
	if image == "" {
		return field.ErrorList{field.Required(path, "name an image")}
	}
	for _, r := range image {
		if r <= ' ' || r > '~' {
			return field.ErrorList{field.Invalid(path, image, "an image's name has no spaces or control characters")}
		}
	}
	return nil
}

func validatePullPolicy(path *field.Path, policy corev1.PullPolicy) field.ErrorList {
	choices := []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever}
	if policy == "" || slices.Contains(choices, policy) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, policy, choices)}
}

func validateSecretName(path *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

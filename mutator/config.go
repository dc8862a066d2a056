package mutator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The type of the configuration file.
const (
	ConfigAPIVersion = "buildkite.com/v1alpha1"
	ConfigKind       = "MutatorConfiguration"
)

// Config is the platform team's part of every job pod. Make one with
// ParseConfig, which sets the defaults; it is a value and never changes.
type Config struct {
	// APIVersion and Kind are ConfigAPIVersion and ConfigKind.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// AgentImage runs the agent and checkout containers, and job containers
	// without an image. Any stock image of the Buildkite agent will do.
	// Required.
	AgentImage string `json:"agentImage"`
	// AgentImagePullPolicy is theirs; empty leaves it to Kubernetes.
	AgentImagePullPolicy corev1.PullPolicy `json:"agentImagePullPolicy,omitempty"`
	// AgentBinary is the agent's path in the agent image. Default
	// /usr/local/bin/buildkite-agent.
	AgentBinary string `json:"agentBinary"`
	// EntrypointImage holds the entrypoint. Required.
	EntrypointImage string `json:"entrypointImage"`
	// EntrypointImagePullPolicy is its own; empty leaves it to Kubernetes.
	EntrypointImagePullPolicy corev1.PullPolicy `json:"entrypointImagePullPolicy,omitempty"`

	// AgentTokenSecret names the Secret with the agent token in each namespace
	// of jobs. Default buildkite-agent-token.
	AgentTokenSecret string `json:"agentTokenSecret"`
	// AgentEndpoint is the Agent API's address. Empty leaves it to the agent.
	AgentEndpoint string `json:"agentEndpoint,omitempty"`
	// Agent is how the agents run: hooks, plugins, tracing, signing and more.
	Agent AgentConfig `json:"agent,omitzero"`
	// Proxy is how the agents, git and the jobs reach the network.
	Proxy ProxyConfig `json:"proxy,omitzero"`
	// CABundle is a ConfigMap with the certificate authorities to trust.
	CABundle *CABundleConfig `json:"caBundle,omitempty"`
	// SSH is about the keys that come from variables.
	SSH SSHConfig `json:"ssh,omitzero"`

	// Delivery is how the entrypoint gets into pods: DeliveryInitContainer (the
	// default) or DeliveryImageVolume.
	Delivery string `json:"delivery"`

	// Injected is about the containers that this program adds.
	Injected InjectedConfig `json:"injected"`
	// KnownSidecars are names of containers that other programs add to pods.
	// Without a list of job containers on the pod they are left alone. What is
	// given here adds to the names that are known anyway.
	KnownSidecars []string `json:"knownSidecars,omitempty"`
	// WorkspaceVolume is the source of the workspace's volume. Default an
	// emptyDir. A pod that brings a volume named workspace keeps it.
	WorkspaceVolume *corev1.VolumeSource `json:"workspaceVolume,omitempty"`
	// Interposer says how the command and args of job containers are run.
	Interposer InterposerConfig `json:"interposer"`
	// DefaultCheckoutParams, DefaultCommandParams and DefaultSidecarParams are
	// what the plugin's checkout, commandParams and sidecarParams add to or
	// override.
	DefaultCheckoutParams CheckoutParams  `json:"defaultCheckoutParams,omitzero"`
	DefaultCommandParams  CommandParams   `json:"defaultCommandParams,omitzero"`
	DefaultSidecarParams  ContainerParams `json:"defaultSidecarParams,omitzero"`
	// DefaultMetadata are labels and annotations that a pod has unless it sets
	// them itself.
	DefaultMetadata MetadataConfig `json:"defaultMetadata,omitzero"`
	// PodSpecPatch is a strategic merge patch of every job pod's spec. It wins
	// over the pod and over resource classes, and loses to the plugin's.
	PodSpecPatch json.RawMessage `json:"podSpecPatch,omitempty"`
	// ResourceClasses are what the agent tag resource_class chooses from.
	ResourceClasses map[string]ResourceClass `json:"resourceClasses,omitempty"`
	// DefaultResourceClassName is the class of pods that name none.
	DefaultResourceClassName string `json:"defaultResourceClassName,omitempty"`
	// JobActiveDeadlineSeconds is how long a pod with a job may be active, from
	// when its node takes it up, unless the pod or the plugin says otherwise.
	// Default 21600, six hours; 0 is no limit.
	JobActiveDeadlineSeconds *int64 `json:"jobActiveDeadlineSeconds,omitempty"`
	// HoldTimeoutSeconds is how long the agent of a pod waits, once its own
	// container runs, for all the others to start. The job stays scheduled
	// meanwhile; at the limit a pod with a job fails it, and says which
	// containers are missing. It has to be more than the dispatcher's
	// pod-pending-timeout, which knows the reason. Default 3600, one hour.
	HoldTimeoutSeconds *int64 `json:"holdTimeoutSeconds,omitempty"`

	// Policy is what the authors of pods may not do.
	Policy Policy `json:"policy,omitzero"`
	// PodSecurity is PodSecurityRestricted to give every container what the
	// restricted Pod Security Standard asks for, unless the pod says otherwise.
	PodSecurity string `json:"podSecurity,omitempty"`
	// Namespaces override Policy and PodSecurity in single namespaces.
	Namespaces map[string]NamespaceConfig `json:"namespaces,omitempty"`

	// ProtectedSecrets are names of Secrets that pods may not refer to, perhaps
	// with * in them, beside those with agent tokens and git credentials: what
	// else lies in the namespaces of jobs and is not theirs.
	ProtectedSecrets []string `json:"protectedSecrets,omitempty"`
	// ProhibitKubernetesPlugin refuses the plugin's fields in pods that a
	// dispatcher made.
	ProhibitKubernetesPlugin bool `json:"prohibitKubernetesPlugin,omitempty"`

	// UnknownPluginFields is what an unknown key of the kubernetes plugin is:
	// UnknownError (the default) or UnknownWarn.
	UnknownPluginFields string `json:"unknownPluginFields"`

	// Version is this program's own, for the receipt. It comes from the build,
	// not from the file.
	Version string `json:"-"`

	// digest is that of the file's meaning; see Digest.
	digest string
}

// InjectedConfig is about the containers that this program adds.
type InjectedConfig struct {
	// Resources are theirs. The defaults ask for 40m CPU and 112Mi together.
	Resources InjectedResources `json:"resources"`
	// RunAsUser is their user ID in pods that demand a user other than root and
	// name none. Default 65532; an explicit null leaves it to the platform, as
	// OpenShift wants it.
	RunAsUser *int64 `json:"runAsUser"`
}

// InjectedResources are the resources of each injected container.
type InjectedResources struct {
	Agent    corev1.ResourceRequirements `json:"agent"`
	Checkout corev1.ResourceRequirements `json:"checkout"`
	Install  corev1.ResourceRequirements `json:"install"`
}

// InterposerConfig holds the default interposers.
type InterposerConfig struct {
	// Dispatched is for pods that a dispatcher made. Default InterposerBuildkite.
	Dispatched Interposer `json:"dispatched"`
	// HandMade is for all others. Default InterposerVector.
	HandMade Interposer `json:"handMade"`
}

// What an unknown key of the plugin is.
const (
	UnknownError = "error"
	UnknownWarn  = "warn"
)

// ParseConfig reads a configuration file: strict YAML or JSON. It reports all
// errors at once; unknown keys are errors that name the nearest valid key.
func ParseConfig(data []byte) (Config, field.ErrorList) {
	config := defaultConfig()
	unknown, errs := decodeYAML(data, &config, nil)
	errs = append(errs, unknownErrors(unknown)...)
	if len(errs) > 0 {
		return Config{}, errs
	}
	config.Injected.Resources.setDefaults()
	if setsNull(data, "injected", "runAsUser") {
		config.Injected.RunAsUser = nil
	}
	if errs := config.validate(); len(errs) > 0 {
		return Config{}, errs
	}
	config.digest = config.Digest()
	return config, nil
}

// Digest identifies the configuration in receipts and logs.
func (c Config) Digest() string {
	if c.digest != "" {
		return c.digest
	}
	text, err := json.Marshal(c)
	if err != nil {
		// Every field was decoded from JSON.
		panic("encode configuration: " + err.Error())
	}
	return digest(text)
}

// sidecarNames are all names of containers that are not job containers unless
// the pod says so.
func (c Config) sidecarNames() []string {
	return slices.Concat(knownSidecars, c.KnownSidecars)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

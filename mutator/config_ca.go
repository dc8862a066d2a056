package mutator

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// CABundleConfig names a ConfigMap, in each namespace of jobs, with the
// certificate authorities to trust. Most programs then trust no others, so the
// bundle must have the public ones too.
type CABundleConfig struct {
	// ConfigMap is its name. Required.
	ConfigMap string `json:"configMap"`
	// Key is the bundle's in the ConfigMap. Default ca.crt.
	Key string `json:"key,omitempty"`
	// JobContainers says whether job containers get the bundle, and variables
	// that name it, too. Default true.
	JobContainers *bool `json:"jobContainers,omitempty"`
}

// defaultCABundleKey is what cert-manager and its relatives call it.
const defaultCABundleKey = "ca.crt"

// caVariables are what programs read the path of a bundle from: OpenSSL and Go,
// git, Node.js, Python's requests, curl.
var caVariables = []string{"SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}

// agentCAPath is where the agent, a Go program, finds the bundle without a
// variable: it reads every file of this directory, beside the image's bundle.
// The agent's variables are handed on to all containers, which may have a bundle
// of their own, or none at this path.
// Source: crypto/x509, certDirectories in root_linux.go.
const agentCAPath = "/etc/ssl/certs/buildkite-ca.crt"

func (c *CABundleConfig) validate(at *field.Path) field.ErrorList {
	if c == nil {
		return nil
	}
	if c.ConfigMap == "" {
		return field.ErrorList{field.Required(at.Child("configMap"), "name the ConfigMap with the bundle")}
	}
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Subdomain(c.ConfigMap) {
		errs = append(errs, field.Invalid(at.Child("configMap"), c.ConfigMap, problem))
	}
	if c.Key != "" {
		for _, problem := range validation.IsConfigMapKey(c.Key) {
			errs = append(errs, field.Invalid(at.Child("key"), c.Key, problem))
		}
	}
	return errs
}

func (c *CABundleConfig) inJobContainers() bool {
	return c != nil && ptr.Deref(c.JobContainers, true)
}

func (c *CABundleConfig) volume() corev1.Volume {
	key := c.Key
	if key == "" {
		key = defaultCABundleKey
	}
	return corev1.Volume{Name: contract.CABundleVolume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: c.ConfigMap},
			Items:                []corev1.KeyToPath{{Key: key, Path: path.Base(contract.CABundlePath)}},
			DefaultMode:          ptr.To[int32](0o444),
		},
	}}
}

func (c *CABundleConfig) mount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: contract.CABundleVolume, MountPath: contract.CABundleDirectory, ReadOnly: true}
}

func (c *CABundleConfig) agentMount() corev1.VolumeMount {
	return corev1.VolumeMount{
		Name: contract.CABundleVolume, MountPath: agentCAPath,
		SubPath: path.Base(contract.CABundlePath), ReadOnly: true,
	}
}

// variables are the bundle's for a container with variables of its own.
func (c *CABundleConfig) variables(own []corev1.EnvVar) []corev1.EnvVar {
	var variables []corev1.EnvVar
	for _, name := range caVariables {
		if !setsVariable(own, name) {
			variables = append(variables, env(name, contract.CABundlePath))
		}
	}
	return variables
}

package mutator

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxDeadline is the largest activeDeadlineSeconds of a pod.
const maxDeadline = math.MaxInt32

// defaultDeadline is the default of JobActiveDeadlineSeconds: six hours.
const defaultDeadline = 6 * 60 * 60

// MetadataConfig are labels and annotations.
type MetadataConfig struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ResourceClass is what a pod of the class gets.
type ResourceClass struct {
	// Resources are added to every job container, for each resource of which
	// the container has neither a request nor a limit.
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
	// PodResource is added to the resources of the pod as a whole, likewise.
	// Kubernetes 1.34 or newer.
	PodResource *corev1.ResourceRequirements `json:"podResource,omitempty"`
	// NodeSelector is added to the pod's and wins over it.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
}

// deadline returns the limit of a pod with a job; nil is none.
func (c Config) deadline() *int64 {
	switch seconds := c.JobActiveDeadlineSeconds; {
	case seconds == nil:
		return new(int64(defaultDeadline))
	case *seconds == 0:
		return nil
	default:
		return new(*seconds)
	}
}

// pluginDefaults is the plugin of a pod that has none. The lists of its
// parameters are not among it: the platform's and the plugin's add up where
// they are used, and a list of both would make paths of errors wrong.
func (c Config) pluginDefaults() plugin {
	defaults := plugin{CommandParams: c.DefaultCommandParams, Checkout: c.DefaultCheckoutParams, SidecarParams: c.DefaultSidecarParams}
	if reflect.ValueOf(defaults).IsZero() {
		return defaults
	}
	// The plugin is decoded into this, and must not reach the configuration.
	text, err := json.Marshal(defaults)
	if err != nil {
		// Every field was decoded from JSON.
		panic("encode default parameters: " + err.Error())
	}
	var own plugin
	if err := json.Unmarshal(text, &own); err != nil {
		panic("decode default parameters: " + err.Error())
	}
	for _, params := range []*ContainerParams{&own.CommandParams.ContainerParams, &own.Checkout.ContainerParams, &own.SidecarParams} {
		*params = ContainerParams{}
	}
	own.PodSpecPatch = nil
	return own
}

func (c Config) validateMerges() field.ErrorList {
	errs := c.DefaultMetadata.validate(field.NewPath("defaultMetadata"))
	errs = append(errs, c.DefaultCommandParams.Interposer.validate(field.NewPath("defaultCommandParams", "interposer"))...)
	errs = append(errs, c.validateMounts()...)
	patch, patchErrs := parseSpecPatch(c.PodSpecPatch, platformPatchPath, platformRules)
	errs = append(errs, patchErrs...)
	errs = append(errs, validateInjected(patch)...)
	for _, name := range slices.Sorted(maps.Keys(c.ResourceClasses)) {
		errs = append(errs, c.ResourceClasses[name].validate(field.NewPath("resourceClasses").Key(name))...)
	}
	if name := c.DefaultResourceClassName; name != "" {
		if _, exists := c.ResourceClasses[name]; !exists {
			errs = append(errs, field.NotSupported(field.NewPath("defaultResourceClassName"), name, slices.Sorted(maps.Keys(c.ResourceClasses))))
		}
	}
	if seconds := c.JobActiveDeadlineSeconds; seconds != nil && (*seconds < 0 || *seconds > maxDeadline) {
		errs = append(errs, field.Invalid(field.NewPath("jobActiveDeadlineSeconds"), *seconds, "want a number of seconds from 1 to 2147483647, or 0 for no limit"))
	}
	if seconds := c.HoldTimeoutSeconds; seconds != nil && (*seconds < 1 || *seconds > maxDeadline) {
		errs = append(errs, field.Invalid(field.NewPath("holdTimeoutSeconds"), *seconds, "want a number of seconds from 1 to 2147483647"))
	}
	return errs
}

// validateMounts refuses default mounts that no pod could have.
func (c Config) validateMounts() field.ErrorList {
	var r reading
	for _, params := range []struct {
		name   string
		mounts []corev1.VolumeMount
	}{
		{"defaultCheckoutParams", c.DefaultCheckoutParams.ExtraVolumeMounts},
		{"defaultCommandParams", c.DefaultCommandParams.ExtraVolumeMounts},
		{"defaultSidecarParams", c.DefaultSidecarParams.ExtraVolumeMounts},
	} {
		r.checkMountList(params.mounts, field.NewPath(params.name, "extraVolumeMounts"), true)
	}
	return r.errs
}

func (m MetadataConfig) validate(path *field.Path) field.ErrorList {
	errs := validateLabels(path.Child("labels"), m.Labels)
	errs = append(errs, apivalidation.ValidateAnnotations(m.Annotations, path.Child("annotations"))...)
	for _, list := range []struct {
		name   string
		values map[string]string
	}{{"labels", m.Labels}, {"annotations", m.Annotations}} {
		for _, key := range slices.Sorted(maps.Keys(list.values)) {
			if strings.HasPrefix(key, reservedKeyPrefix) {
				errs = append(errs, field.Forbidden(path.Child(list.name).Key(key),
					"names under "+reservedKeyPrefix+" are for who creates the pod; use this file's settings"))
			}
		}
	}
	return errs
}

func validateLabels(path *field.Path, labels map[string]string) field.ErrorList {
	return metav1validation.ValidateLabels(labels, path)
}

// reservedKeyPrefix precedes the labels and annotations of the contract.
const reservedKeyPrefix = "buildkite.com/"

package mutator

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var (
	annotationsPath = field.NewPath("metadata", "annotations")
	labelsPath      = field.NewPath("metadata", "labels")
	pluginPath      = annotationsPath.Key(contract.PluginAnnotation)
)

// plugin is the kubernetes plugin's fields other than podSpec and metadata.
// A new field is added here and read in the step that it concerns; decoding,
// type errors and near misses follow from the tag.
type plugin struct {
	// Sidecars run beside the job, from before it until after it.
	Sidecars []corev1.Container `json:"sidecars"`
	// GitEnvFrom goes to checkout, job containers and sidecars.
	GitEnvFrom []corev1.EnvFromSource `json:"gitEnvFrom"`
	// ExtraVolumeMounts go to checkout, job containers and sidecars.
	ExtraVolumeMounts []corev1.VolumeMount `json:"extraVolumeMounts"`

	CommandParams CommandParams   `json:"commandParams"`
	Checkout      CheckoutParams  `json:"checkout"`
	SidecarParams ContainerParams `json:"sidecarParams"`

	// PodSpecPatch is a strategic merge patch of the pod's spec.
	PodSpecPatch json.RawMessage `json:"podSpecPatch"`
	// JobActiveDeadlineSeconds is how long the pod may be active.
	JobActiveDeadlineSeconds *int64 `json:"jobActiveDeadlineSeconds"`

	// rawSidecars are the sidecars as they were written, with the fields that
	// this program's Kubernetes library does not know.
	rawSidecars []json.RawMessage
}

// ContainerParams are additions to a kind of container.
type ContainerParams struct {
	EnvFrom           []corev1.EnvFromSource `json:"envFrom"`
	ExtraVolumeMounts []corev1.VolumeMount   `json:"extraVolumeMounts"`
}

// CommandParams are about the job containers.
type CommandParams struct {
	ContainerParams

	Interposer Interposer `json:"interposer"`
}

// CheckoutParams are about the checkout container and how it clones.
type CheckoutParams struct {
	ContainerParams

	Skip          bool    `json:"skip"`
	CloneFlags    *string `json:"cloneFlags"`
	FetchFlags    *string `json:"fetchFlags"`
	CleanFlags    *string `json:"cleanFlags"`
	CheckoutFlags *string `json:"checkoutFlags"`
	NoSubmodules  *bool   `json:"noSubmodules"`
	// SubmoduleCloneConfig are key=value pairs of git's configuration.
	SubmoduleCloneConfig []string              `json:"submoduleCloneConfig"`
	GitMirrors           *GitMirrors           `json:"gitMirrors"`
	GitCredentialsSecret *GitCredentialsSecret `json:"gitCredentialsSecret"`
}

// parsePlugin reads the plugin annotation on top of the defaults: what the
// plugin sets counts. Unknown keys of the plugin are errors, or warnings where
// onUnknown is UnknownWarn. Unknown fields of a sidecar may belong to a newer
// Kubernetes: they are passed on with a warning unless they look like a typing
// error.
func parsePlugin(text string, defaults plugin, onUnknown string) (result plugin, warnings []string, errs field.ErrorList) {
	if strings.TrimSpace(text) == "" {
		return defaults, nil, nil
	}
	if !json.Valid([]byte(text)) && yamlAnchor.MatchString(text) && yamlAlias.MatchString(text) {
		return plugin{}, nil, field.ErrorList{invalid(pluginPath,
			"seems to repeat values with YAML's &anchors and *aliases, with which a short text grows without limit; write them out, or write the annotation as JSON")}
	}
	result = defaults
	unknown, errs := decodeYAML([]byte(text), &result, pluginPath)
	for _, one := range unknown {
		switch {
		case isPodField(one.path):
			errs = append(errs, field.Forbidden(one.path, "this annotation is about how the pod is run; write the field into the pod itself"))
		case isSidecarField(one.path) && one.nearest == "":
			warnings = append(warnings, one.path.String()+": unknown to this version of the mutator; passed on as it is")
		case onUnknown == UnknownWarn:
			warnings = append(warnings, one.path.String()+": "+one.sentence())
		default:
			errs = append(errs, field.Forbidden(one.path, one.sentence()))
		}
	}
	errs = append(errs, result.CommandParams.Interposer.validate(pluginPath.Child("commandParams", "interposer"))...)
	if len(errs) > 0 {
		return plugin{}, nil, errs
	}
	result.rawSidecars = rawSidecars([]byte(text))
	return result, warnings, nil
}

// yamlAnchor and yamlAlias find whatever may be one: 50,000 aliases of a text of
// 100 kB are 5 GB when decoded, and the annotation comes from anyone. JSON has
// neither.
var (
	yamlAnchor = regexp.MustCompile(`(?m)(^|[^0-9A-Za-z])&[0-9A-Za-z_-]`)
	yamlAlias  = regexp.MustCompile(`(?m)(^|[^0-9A-Za-z])\*[0-9A-Za-z_-]`)
)

func isPodField(path *field.Path) bool {
	name := path.String()
	return name == pluginPath.Child("podSpec").String() || name == pluginPath.Child("metadata").String()
}

func isSidecarField(path *field.Path) bool {
	return strings.HasPrefix(path.String(), pluginPath.Child("sidecars").String()+"[")
}

// rawSidecars returns the sidecars of a text that was decoded before.
func rawSidecars(text []byte) []json.RawMessage {
	var raw struct {
		Sidecars []json.RawMessage `json:"sidecars"`
	}
	if yaml.Unmarshal(text, &raw) != nil {
		return nil
	}
	return raw.Sidecars
}

// PluginFields is the type that the plugin annotation is decoded into, for those
// who describe it. The fields' names are in their json tags.
func PluginFields() reflect.Type {
	return reflect.TypeFor[plugin]()
}

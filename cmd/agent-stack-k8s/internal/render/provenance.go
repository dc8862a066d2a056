package render

import (
	"encoding/json"
	"slices"
	"strings"

	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Where a line can come from.
const (
	fromPod          = "pod"
	fromTemplate     = "template"
	fromDispatcher   = "dispatcher"
	fromDefault      = "platform default"
	fromClass        = "resource class"
	fromPlatform     = "platform patch"
	fromStepImage    = "step image"
	fromPlugin       = "plugin"
	fromPluginPatch  = "plugin patch"
	fromInjected     = "injected"
	receiptPathLeaf  = "\x00metadata\x00annotations\x00" + contract.InjectedAnnotation
	pluginPatchField = "podSpecPatch"
)

// ablation is a source of values, and how to do without it.
type ablation struct {
	source string
	// without changes copies of the configuration and of the pod, and reports
	// whether there was anything to leave out.
	without func(config *mutator.Config, pod map[string]any) bool
}

// ablations are the sources beside the pod, those that win first. A value is of
// the first source without which it would be another: so the answer follows from
// what the mutator does, and not from a description of it.
var ablations = []ablation{
	{fromPluginPatch, func(_ *mutator.Config, pod map[string]any) bool {
		return editPlugin(pod, func(fields map[string]any) { delete(fields, pluginPatchField) })
	}},
	{fromStepImage, func(_ *mutator.Config, pod map[string]any) bool { return dropAnnotation(pod, contract.ImageAnnotation) }},
	{fromPlatform, func(config *mutator.Config, _ map[string]any) bool {
		had := len(config.PodSpecPatch) > 0
		config.PodSpecPatch = nil
		return had
	}},
	{fromClass, func(config *mutator.Config, _ map[string]any) bool {
		classes := map[string]mutator.ResourceClass{}
		for name := range config.ResourceClasses {
			classes[name] = mutator.ResourceClass{}
		}
		config.ResourceClasses = classes
		return len(classes) > 0
	}},
	{fromPlugin, func(_ *mutator.Config, pod map[string]any) bool {
		return editPlugin(pod, func(fields map[string]any) {
			for field := range fields {
				if field != pluginPatchField {
					delete(fields, field)
				}
			}
		})
	}},
	{fromDefault, func(config *mutator.Config, _ map[string]any) bool {
		config.DefaultMetadata, config.DefaultCheckoutParams = mutator.MetadataConfig{}, mutator.CheckoutParams{}
		config.DefaultCommandParams, config.DefaultSidecarParams = mutator.CommandParams{}, mutator.ContainerParams{}
		config.Agent, config.Proxy, config.CABundle, config.WorkspaceVolume = mutator.AgentConfig{}, mutator.ProxyConfig{}, nil, nil
		config.PodSecurity, config.JobActiveDeadlineSeconds = "", new(int64(0))
		return true
	}},
}

// origin is where a value comes from, and what it took the place of, "" if
// nothing.
type origin struct{ source, replaced string }

// provenance says of each value of the admitted pod where it comes from.
func (r *renderer) provenance(in input, admitted json.RawMessage) (map[string]origin, error) {
	after, err := flatten(admitted)
	if err != nil {
		return nil, err
	}
	before, err := flatten(in.pod)
	if err != nil {
		return nil, err
	}
	found := map[string]origin{}
	for _, ablation := range ablations {
		lacking, tried := r.reviewWithout(in, ablation)
		if !tried {
			continue
		}
		for path, value := range after {
			if _, known := found[path]; known || path == receiptPathLeaf {
				continue
			}
			if other, there := lacking[path]; !there || other != value {
				found[path] = origin{source: ablation.source, replaced: replacedBy(before, path, value)}
			}
		}
	}
	for path, value := range after {
		if _, known := found[path]; known {
			continue
		}
		if before[path] == value {
			found[path] = origin{source: in.sourceOf(path, value)}
		} else {
			found[path] = origin{source: fromInjected, replaced: replacedBy(before, path, value)}
		}
	}
	return found, nil
}

// replacedBy is what the pod said, if it said something else.
func replacedBy(before leaves, path, value string) string {
	if was, had := before[path]; had && was != value {
		return was
	}
	return ""
}

// reviewWithout returns the pod as it would be without a source. It is not tried
// if there is none, or if nothing would be admitted then.
func (r *renderer) reviewWithout(in input, ablation ablation) (leaves, bool) {
	config := r.config
	var pod map[string]any
	if err := kjson.Unmarshal(in.pod, &pod); err != nil || !ablation.without(&config, pod) {
		return nil, false
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		return nil, false
	}
	outcome, errs, err := admission.Review(config, raw)
	if err != nil || len(errs) > 0 {
		return nil, false
	}
	found, err := flatten(outcome.Pod)
	return found, err == nil
}

// sourceOf tells the author's own values from the dispatcher's and a template's.
func (in *input) sourceOf(path, value string) string {
	switch {
	case in.dispatched == nil:
		return fromPod
	case in.dispatched[path] == value:
		return fromDispatcher
	case in.untemplated != nil && in.untemplated[path] != value:
		return fromTemplate
	default:
		return fromPod
	}
}

func annotationsOf(pod map[string]any) map[string]any {
	metadata, _ := pod["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return annotations
}

func dropAnnotation(pod map[string]any, name string) bool {
	annotations := annotationsOf(pod)
	_, had := annotations[name]
	delete(annotations, name)
	return had
}

// editPlugin changes the plugin's fields, and reports whether there were any.
func editPlugin(pod map[string]any, edit func(map[string]any)) bool {
	annotations := annotationsOf(pod)
	text, _ := annotations[contract.PluginAnnotation].(string)
	var fields map[string]any
	if strings.TrimSpace(text) == "" || yaml.Unmarshal([]byte(text), &fields) != nil {
		return false
	}
	before := len(fields)
	edit(fields)
	if len(fields) == before {
		return false
	}
	changed, err := json.Marshal(fields)
	if err != nil {
		return false
	}
	annotations[contract.PluginAnnotation] = string(changed)
	return true
}

// withoutPlugins is a job's environment without its plugins.
func withoutPlugins(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(variable string) bool { return strings.HasPrefix(variable, "BUILDKITE_PLUGINS=") })
}

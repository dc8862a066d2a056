package jobpod

import (
	"encoding/json"
	"fmt"
	"net/url"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// PodSettings is what a dispatcher's pods have in common.
type PodSettings struct {
	// Namespace is where the pods go.
	Namespace string
	// ControllerID is the value of the controller-id label: which dispatcher
	// owns the pods.
	ControllerID string
	// Mutator is the installation that injects, in a cluster that has several;
	// empty is the default one.
	Mutator string
	// Tags are what the agents register with.
	Tags Tags
	// AgentImage and AgentTokenSecret override the mutator's configuration
	// unless empty.
	AgentImage, AgentTokenSecret string
	// ProhibitPlugin refuses jobs that have the kubernetes plugin.
	ProhibitPlugin bool
}

// PodName returns the name of a job's pod. It follows from the job's UUID, so
// that no job can have two.
func PodName(uuid string) string {
	return contract.JobPrefix + uuid
}

// Pod makes the pod of a job: the author's podSpec with our labels,
// annotations and gate, for the mutator to turn into a job runner. It is a
// pure function of its arguments and leaves them alone. The template is the JSON
// of the pod spec in the PodTemplate that TemplateName names, nil if the job
// names none or there is none of this name.
//
// The errors are the pipeline author's mistakes. Their paths say where in the
// step's YAML they are, such as plugins.kubernetes.podSpec.containers[0].name.
func Pod(job Job, settings PodSettings, template json.RawMessage) (*unstructured.Unstructured, field.ErrorList) {
	if problems := validation.IsDNS1123Label(PodName(job.UUID)); job.UUID == "" || len(problems) > 0 {
		return nil, field.ErrorList{field.Invalid(field.NewPath("uuid"), job.UUID, fmt.Sprintf("not a job's UUID: %v", problems))}
	}
	plugin, errs := findPlugin(job.Lookup(pluginsVariable))
	if len(errs) > 0 {
		return nil, errs
	}
	if plugin.present && settings.ProhibitPlugin {
		return nil, field.ErrorList{field.Forbidden(pluginPath,
			"the owners of this queue do not allow the plugin; remove it, and ask them if the job cannot do without")}
	}
	if errs := checkTemplate(plugin, settings, template); len(errs) > 0 {
		return nil, errs
	}
	spec, jobContainers, errs := podSpec(plugin, template)
	metadata, metadataErrs := podMetadata(job, settings, plugin, jobContainers)
	errs = append(errs, metadataErrs...)
	if err := apivalidation.ValidateAnnotationsSize(metadata.annotations); err != nil && len(errs) == 0 {
		errs = append(errs, invalid(pluginPath, "%s; fields other than podSpec travel in an annotation", err))
	}
	if len(errs) > 0 {
		return nil, errs
	}
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata":   map[string]any{},
		"spec":       spec,
	}}
	pod.SetName(PodName(job.UUID))
	pod.SetNamespace(settings.Namespace)
	pod.SetLabels(metadata.labels)
	pod.SetAnnotations(metadata.annotations)
	return pod, nil
}

// checkTemplate refuses a template's name that is none, and a template that is
// not there.
func checkTemplate(plugin kubernetesPlugin, settings PodSettings, template json.RawMessage) field.ErrorList {
	name, errs := plugin.templateName()
	if len(errs) > 0 || name == "" || template != nil {
		return errs
	}
	return field.ErrorList{field.Invalid(podTemplatePath, name,
		"namespace "+settings.Namespace+" has no PodTemplate of this name; correct it, or have the template created")}
}

// withoutPassword returns a repository's address without the credentials that
// some are written with. What is no URL (git@host:path) holds none.
func withoutPassword(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.User == nil {
		return address
	}
	if _, has := parsed.User.Password(); has || parsed.Scheme == "http" || parsed.Scheme == "https" {
		parsed.User = nil
	}
	return parsed.String()
}

package jobpod

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// reservedDomain and its subdomains hold names that tell this product what a
// pod is; a pipeline must not be able to write them.
const reservedDomain = "buildkite.com"

// imageVariable holds the step's `image:`.
const imageVariable = "BUILDKITE_IMAGE"

// Autoscalers move pods by ending them, which would end the job.
const (
	safeToEvictAnnotation  = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	doNotDisruptAnnotation = "karpenter.sh/do-not-disrupt"
)

// metadata is a pod's labels and annotations.
type metadata struct {
	labels, annotations map[string]string
}

// podMetadata joins defaults, the author's, and ours, in this order: the later
// wins.
func podMetadata(job Job, settings PodSettings, plugin kubernetesPlugin, jobContainers []string) (metadata, field.ErrorList) {
	result, errs := authorMetadata(plugin.metadata)
	// The agent acquires the job only if it has all tags that the job asks for.
	settings.Tags = settings.Tags.ForJob(job.Rules)
	for _, name := range []string{safeToEvictAnnotation, doNotDisruptAnnotation} {
		if _, set := result.annotations[name]; !set {
			result.annotations[name] = strconv.FormatBool(name == doNotDisruptAnnotation)
		}
	}
	maps.Copy(result.labels, ownLabels(job, settings))
	maps.Copy(result.annotations, jobAnnotations(job))
	maps.Copy(result.annotations, agentAnnotations(job, settings, plugin, jobContainers))
	if template, _ := plugin.templateName(); template != "" {
		result.annotations[contract.PodTemplateNameAnnotation] = template
	}
	setUnlessEmpty(result.annotations, contract.ImageAnnotation, job.Lookup(imageVariable))
	setUnlessEmpty(result.annotations, contract.ResourceClassAnnotation, resourceClass(job.Rules))
	return result, errs
}

// authorMetadata reads the plugin's metadata: labels and annotations outside
// the reserved domain.
func authorMetadata(raw json.RawMessage) (metadata, field.ErrorList) {
	result := metadata{labels: map[string]string{}, annotations: map[string]string{}}
	fields, err := decodeObject(raw)
	if err != nil {
		return result, field.ErrorList{invalid(metadataPath, "want an object with labels and annotations")}
	}
	var errs field.ErrorList
	for _, name := range sortedKeys(fields) {
		path := metadataPath.Child(name)
		switch name {
		case "labels":
			errs = append(errs, readStrings(fields[name], result.labels, path, labelProblems)...)
		case "annotations":
			errs = append(errs, readStrings(fields[name], result.annotations, path, annotationProblems)...)
			if err := apivalidation.ValidateAnnotationsSize(result.annotations); err != nil {
				errs = append(errs, invalid(path, "%s", err))
			}
		default:
			errs = append(errs, field.Forbidden(path, "a job's pod takes labels and annotations only; remove the field"))
		}
	}
	return result, errs
}

func sortedKeys(object map[string]any) []string {
	return slices.Sorted(maps.Keys(object))
}

func labelProblems(key, value string) []string {
	return append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
}

func annotationProblems(key, _ string) []string {
	return validation.IsQualifiedName(strings.ToLower(key))
}

// readStrings copies an object's strings into target, those without problems.
func readStrings(value any, target map[string]string, path *field.Path, problems func(key, value string) []string) field.ErrorList {
	if value == nil {
		return nil
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		return field.ErrorList{invalid(path, "want an object of strings")}
	}
	var errs field.ErrorList
	for _, key := range sortedKeys(object) {
		text, isString := object[key].(string)
		found := problems(key, text)
		switch {
		case isReserved(key):
			errs = append(errs, field.Forbidden(path.Key(key), "names under "+reservedDomain+" are set for you; use another name"))
		case !isString:
			errs = append(errs, invalid(path.Key(key), "want a string; put the value in quotes"))
		case len(found) > 0:
			errs = append(errs, field.Invalid(path.Key(key), text, strings.Join(found, "; ")))
		default:
			target[key] = text
		}
	}
	return errs
}

func isReserved(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	domain = strings.ToLower(domain)
	return found && (domain == reservedDomain || strings.HasSuffix(domain, "."+reservedDomain))
}

func ownLabels(job Job, settings PodSettings) map[string]string {
	labels := map[string]string{
		contract.InjectLabel:       contract.InjectEnabled,
		contract.JobUUIDLabel:      job.UUID,
		contract.ControllerIDLabel: settings.ControllerID,
	}
	setUnlessEmpty(labels, contract.MutatorLabel, settings.Mutator)
	for _, tag := range settings.Tags {
		key := contract.TagLabelPrefix + tag.Key
		if len(validation.IsQualifiedName(key)) == 0 && len(validation.IsValidLabelValue(tag.Value)) == 0 {
			labels[key] = tag.Value
		}
	}
	return labels
}

// jobAnnotations are for people and cost tools. They come from the job's
// environment because there they cost no points of the GraphQL budget.
func jobAnnotations(job Job) map[string]string {
	annotations := map[string]string{contract.JobPriorityAnnotation: strconv.Itoa(job.Priority)}
	setUnlessEmpty(annotations, contract.JobURLAnnotation, job.URL)
	if job.Attempt > 1 {
		annotations[contract.AttemptAnnotation] = strconv.Itoa(job.Attempt)
	}
	setUnlessEmpty(annotations, contract.BuildURLAnnotation, job.Lookup("BUILDKITE_BUILD_URL"))
	setUnlessEmpty(annotations, contract.BuildUUIDAnnotation, job.Lookup("BUILDKITE_BUILD_ID"))
	setUnlessEmpty(annotations, contract.BuildBranchAnnotation, job.Lookup("BUILDKITE_BRANCH"))
	setUnlessEmpty(annotations, contract.BuildRepoAnnotation, withoutPassword(job.Lookup("BUILDKITE_REPO")))
	setUnlessEmpty(annotations, contract.PipelineSlugAnnotation, job.Lookup("BUILDKITE_PIPELINE_SLUG"))
	setUnlessEmpty(annotations, contract.StepKeyAnnotation, job.Lookup("BUILDKITE_STEP_KEY"))
	return annotations
}

// agentAnnotations tell the mutator how to make the pod a job runner.
func agentAnnotations(job Job, settings PodSettings, plugin kubernetesPlugin, jobContainers []string) map[string]string {
	annotations := map[string]string{
		contract.AgentTagsAnnotation:     settings.Tags.String(),
		contract.JobContainersAnnotation: strings.Join(jobContainers, ","),
	}
	setUnlessEmpty(annotations, contract.AgentImageAnnotation, settings.AgentImage)
	setUnlessEmpty(annotations, contract.AgentTokenSecretAnnotation, settings.AgentTokenSecret)
	if wantsOnlyCommit(job) {
		annotations[contract.SkipFetchAnnotation] = "true"
	}
	if len(plugin.others) > 0 {
		annotations[contract.PluginAnnotation] = encodeFields(plugin.others)
	}
	return annotations
}

// encodeFields writes fields in the order of their names, without the HTML
// escapes that would make the annotation hard to read.
func encodeFields(fields map[string]json.RawMessage) string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		// The fields were just decoded from valid JSON.
		panic("encode plugin fields: " + err.Error())
	}
	return strings.TrimSpace(buffer.String())
}

func setUnlessEmpty(annotations map[string]string, name, value string) {
	if value != "" {
		annotations[name] = value
	}
}

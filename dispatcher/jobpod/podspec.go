package jobpod

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// defaultGraceSeconds lets an agent that is told to stop cancel its job,
// upload what it has and say so. Kubernetes' own default is 30.
const defaultGraceSeconds = 60

// podSpec builds the pod's spec from the author's, which stays the generic
// JSON it arrived as: fields that this program's Kubernetes library does not
// know survive, and the API server is the one to refuse typing errors. It
// returns the names of the job containers, in order.
func podSpec(plugin kubernetesPlugin, template json.RawMessage) (spec map[string]any, jobContainers []string, errs field.ErrorList) {
	spec, err := decodeObject(plugin.podSpec)
	if err != nil {
		return nil, nil, field.ErrorList{invalid(podSpecPath, "want an object with the fields of a Kubernetes PodSpec")}
	}
	if plugin.podTemplate != nil {
		if spec, errs = overTemplate(spec, template); len(errs) > 0 {
			return nil, nil, errs
		}
	}
	containers, errs := jobContainerList(spec)
	jobContainers, nameErrs := nameContainers(containers)
	errs = append(errs, nameErrs...)
	errs = append(errs, refuseOwnedFields(spec)...)
	if len(errs) > 0 {
		return nil, nil, errs
	}
	setOwnedFields(spec, containers)
	return spec, jobContainers, nil
}

// decodeObject reads a JSON object and keeps its numbers as they are written.
// No text, or null, is an empty object.
func decodeObject(raw json.RawMessage) (map[string]any, error) {
	object := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(orNull(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	if object == nil {
		object = map[string]any{}
	}
	return object, nil
}

// jobContainerList returns the spec's containers. A spec without any gets one,
// without image and command: the mutator gives it the agent's image, and the
// agent runs the job's own command in it.
func jobContainerList(spec map[string]any) ([]any, field.ErrorList) {
	list, isList := spec["containers"].([]any)
	switch {
	case spec["containers"] == nil, isList && len(list) == 0:
		return []any{map[string]any{}}, nil
	case !isList:
		return nil, field.ErrorList{invalid(podSpecPath.Child("containers"), "want a list of containers")}
	default:
		return list, nil
	}
}

func notAContainer(index int) *field.Error {
	return invalid(podSpecPath.Child("containers").Index(index), "want an object with fields such as image and command")
}

// nameContainer names a container that has no name after its index, and checks
// a given name, because the list of job containers is an annotation with
// commas between names.
func nameContainer(container map[string]any, index int) (string, *field.Error) {
	path := podSpecPath.Child("containers").Index(index).Child("name")
	if container["name"] == nil || container["name"] == "" {
		container["name"] = contract.JobContainerNamePrefix + strconv.Itoa(index)
	}
	name, isString := container["name"].(string)
	if !isString {
		return "", invalid(path, "want a string; put the name in quotes")
	}
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return "", field.Invalid(path, name, strings.Join(problems, "; "))
	}
	return name, nil
}

// refuseOwnedFields reports fields that an author may not decide.
func refuseOwnedFields(spec map[string]any) field.ErrorList {
	var errs field.ErrorList
	if policy := spec["restartPolicy"]; policy != nil && policy != string(corev1.RestartPolicyNever) {
		errs = append(errs, invalid(podSpecPath.Child("restartPolicy"),
			"a job runs once, so only %s is possible; remove the field and use the step's retry instead", corev1.RestartPolicyNever))
	}
	if gates := spec["schedulingGates"]; gates != nil {
		errs = append(errs, field.Forbidden(podSpecPath.Child("schedulingGates"),
			"the gate that holds a job's pod is set and removed for you; remove the field"))
	}
	return errs
}

// setOwnedFields writes what every dispatched pod has, last, and the defaults
// of what an author may decide.
func setOwnedFields(spec map[string]any, containers []any) {
	spec["containers"] = containers
	spec["schedulingGates"] = []any{map[string]any{"name": contract.Gate}}
	spec["restartPolicy"] = string(corev1.RestartPolicyNever)
	// One variable per service of the namespace would be in every job's
	// environment; thousands of services make exec fail.
	setDefault(spec, "enableServiceLinks", false)
	// A job that talks to the Kubernetes API is rare, and a token is a risk.
	setDefault(spec, "automountServiceAccountToken", false)
	setDefault(spec, "terminationGracePeriodSeconds", int64(defaultGraceSeconds))
}

func setDefault(object map[string]any, name string, value any) {
	if object[name] == nil {
		object[name] = value
	}
}

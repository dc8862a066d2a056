package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// templates says where the kinds of objects that make pods have the pod's
// template, and what kind the pod's controller is.
var templates = map[string]struct {
	path       []string
	controller string
}{
	"Pod":         {},
	"PodTemplate": {path: []string{"template"}},
	"Job":         {path: []string{"spec", "template"}, controller: "Job"},
	"CronJob":     {path: []string{"spec", "jobTemplate", "spec", "template"}, controller: "Job"},
	"ScaledJob":   {path: []string{"spec", "jobTargetRef", "template"}, controller: "Job"},
	"Deployment":  {path: []string{"spec", "template"}, controller: "ReplicaSet"},
	"ReplicaSet":  {path: []string{"spec", "template"}, controller: "ReplicaSet"},
	"StatefulSet": {path: []string{"spec", "template"}, controller: "StatefulSet"},
	"DaemonSet":   {path: []string{"spec", "template"}, controller: "DaemonSet"},
}

var controllerVersions = map[string]string{
	"Job": "batch/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
}

// noPodError says that something was read well and makes no pods.
type noPodError struct{ text string }

// Error implements error.
func (e *noPodError) Error() string { return e.text }

// objects returns the documents, and in place of lists the objects in them.
func objects(documents []*document.Node) []*document.Node {
	var all []*document.Node
	for _, node := range documents {
		if items := node.Get("items"); node.Get("kind").Text() == "List" && items != nil {
			all = append(all, objects(items.Items)...)

			continue
		}
		all = append(all, node)
	}

	return all
}

// inNamespace puts a pod into the namespace of the command line, if there is one:
// a pod that has none, or any, if it is to be moved.
func (r *renderer) inNamespace(raw json.RawMessage, move bool) (json.RawMessage, error) {
	if r.options.namespace == "" {
		return raw, nil
	}
	var pod map[string]any
	if err := kjson.Unmarshal(raw, &pod); err != nil {
		return nil, fmt.Errorf("read the pod: %w", err)
	}
	metadata := child(pod, "metadata")
	if namespace, _ := metadata["namespace"].(string); !move && namespace != "" && namespace != r.options.namespace {
		return nil, fmt.Errorf("the pod is in the namespace %s, and --namespace is %s; leave one of them out", namespace, r.options.namespace)
	}
	metadata["namespace"] = r.options.namespace

	return json.Marshal(pod)
}

// objectInput takes the pod out of a Kubernetes object, as its controller would
// create it.
func objectInput(object *document.Node) (input, error) {
	kind := object.Get("kind").Text()
	template, known := templates[kind]
	if !known {
		kinds := slices.Sorted(maps.Keys(templates))

		return input{}, &noPodError{text: fmt.Sprintf("neither a pipeline (no steps) nor an object that makes pods: kind is %q, want one of %s",
			kind, strings.Join(kinds, ", "))}
	}
	node := object
	for _, key := range template.path {
		node = node.Get(key)
	}
	if node.IsNull() || node.Kind != document.Object {
		return input{}, fmt.Errorf("%s has no pod template: want an object at %s", kind, strings.Join(template.path, "."))
	}

	pod, _ := node.Value().(map[string]any)
	if template.controller != "" {
		own(pod, object, template.controller)
	}
	setDefaults(pod)
	raw, err := json.Marshal(pod)
	if err != nil {
		return input{}, err
	}
	prefix := strings.Join(template.path, ".")
	if prefix != "" {
		prefix += "."
	}

	return input{
		name:       kind + " " + objectName(object),
		pod:        raw,
		authorPath: func(path string) string { return prefix + path },
	}, nil
}

// objectName is what the object is called, or what its name will begin with.
func objectName(object *document.Node) string {
	metadata := object.Get("metadata")
	if name := metadata.Get("name").Text(); name != "" {
		return name
	}

	return metadata.Get("generateName").Text()
}

// own gives a template's pod what its controller would: the mutator judges some
// things by it.
func own(pod map[string]any, object *document.Node, controller string) {
	metadata := child(pod, "metadata")
	name := objectName(object)
	metadata["generateName"] = name + "-"
	if namespace := object.Get("metadata").Get("namespace").Text(); namespace != "" {
		metadata["namespace"] = namespace
	}
	metadata["ownerReferences"] = []any{map[string]any{
		"apiVersion": controllerVersions[controller], "kind": controller, "name": name,
		"uid": "00000000-0000-4000-8000-000000000000", "controller": true, "blockOwnerDeletion": true,
	}}
}

// setDefaults completes the pod as the API server does before it asks the
// mutator, as far as the mutator cares.
func setDefaults(pod map[string]any) {
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	spec := child(pod, "spec")
	if spec["restartPolicy"] == nil {
		spec["restartPolicy"] = string(corev1.RestartPolicyAlways)
	}
}

// child returns an object's member that is an object, making it if need be.
func child(object map[string]any, key string) map[string]any {
	member, isObject := object[key].(map[string]any)
	if !isObject {
		member = map[string]any{}
		object[key] = member
	}

	return member
}

package jobpod

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TemplateName returns the name of the PodTemplate that the job's kubernetes
// plugin builds on, or "" if it names none. It is to be read from the namespace
// of the pods and given to Pod. Errors are those of Pod.
func TemplateName(job Job) (string, field.ErrorList) {
	plugin, errs := findPlugin(job.Lookup(pluginsVariable))
	if len(errs) > 0 {
		return "", errs
	}
	return plugin.templateName()
}

func (p kubernetesPlugin) templateName() (string, field.ErrorList) {
	if p.podTemplate == nil {
		return "", nil
	}
	var name string
	if err := json.Unmarshal(p.podTemplate, &name); err != nil {
		return "", field.ErrorList{invalid(podTemplatePath, "want the name of a PodTemplate; put it in quotes")}
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return "", field.ErrorList{field.Invalid(podTemplatePath, name, strings.Join(problems, "; "))}
	}
	return name, nil
}

// overTemplate returns the author's spec on top of a template's. The author
// decides which containers there are, if any are named at all: each takes what
// it leaves out from the template's container of the same name. Of everything
// else the template's is the default, merged as kubectl would merge a patch.
//
// A PodTemplate is a whole pod, so that without this rule an author who gives
// one container would get the template's, too, and each would run the job.
func overTemplate(spec map[string]any, template json.RawMessage) (map[string]any, field.ErrorList) {
	base, err := decodeObject(template)
	if err != nil {
		return nil, field.ErrorList{invalid(podTemplatePath, "the PodTemplate's pod spec is not an object")}
	}
	dropDefaults(base)
	if errs := refuseDirectives(spec, podSpecPath); len(errs) > 0 {
		return nil, errs
	}
	if _, errs := jobContainerList(spec); len(errs) > 0 {
		return nil, errs
	}
	chosen, _ := spec["containers"].([]any)
	if len(chosen) == 0 {
		chosen, _ = base["containers"].([]any)
	}
	names, errs := nameContainers(chosen)
	if len(errs) > 0 {
		return nil, errs
	}
	merged, err := strategicpatch.StrategicMergeMapPatch(base, spec, corev1.PodSpec{})
	if err != nil {
		return nil, field.ErrorList{invalid(podSpecPath, "cannot be merged with the PodTemplate: %s", err)}
	}
	containers, _ := merged["containers"].([]any)
	merged["containers"] = pick(containers, names)
	return merged, nil
}

// dropDefaults removes what the API server wrote into the template where its
// owner wrote nothing, and what means something else for a job.
func dropDefaults(base map[string]any) {
	if base["restartPolicy"] == string(corev1.RestartPolicyAlways) {
		delete(base, "restartPolicy")
	}
	if fmt.Sprint(base["terminationGracePeriodSeconds"]) == fmt.Sprint(corev1.DefaultTerminationGracePeriodSeconds) {
		delete(base, "terminationGracePeriodSeconds")
	}
}

// nameContainers names those without a name, because a merge goes by name.
func nameContainers(containers []any) (names []string, errs field.ErrorList) {
	for i, entry := range containers {
		container, isObject := entry.(map[string]any)
		if !isObject {
			errs = append(errs, notAContainer(i))
			continue
		}
		name, err := nameContainer(container, i)
		if err != nil {
			errs = append(errs, err)
		}
		names = append(names, name)
	}
	return names, errs
}

// pick returns the containers of these names in this order.
func pick(merged []any, names []string) []any {
	byName := map[string]any{}
	for _, entry := range merged {
		if container, isObject := entry.(map[string]any); isObject {
			name, _ := container["name"].(string)
			byName[name] = container
		}
	}
	containers := make([]any, len(names))
	for i, name := range names {
		containers[i] = byName[name]
	}
	return containers
}

// refuseDirectives finds the keys that steer a strategic merge. Without a
// template the API server would refuse them; here they would work, and an
// author could remove with them what the template's owner put there for good.
func refuseDirectives(value any, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch value := value.(type) {
	case map[string]any:
		for _, key := range sortedKeys(value) {
			if strings.HasPrefix(key, "$") {
				errs = append(errs, field.Forbidden(path.Child(key), "this field steers a patch, and this is none; remove it"))
				continue
			}
			errs = append(errs, refuseDirectives(value[key], path.Child(key))...)
		}
	case []any:
		for i, element := range value {
			errs = append(errs, refuseDirectives(element, path.Index(i))...)
		}
	}
	return errs
}

package mutator

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// secretReferences refuses references to the protected Secrets from all that
// users wrote: with the agent token a job could act as any agent of its
// Buildkite cluster. The walk is over the JSON form, so that a kind of
// reference that Kubernetes adds later is found too.
func secretReferences(pod *corev1.Pod, plugin plugin, protected ...string) field.ErrorList {
	finder := secretFinder{protected: protected}
	for i, container := range pod.Spec.InitContainers {
		if container.Name != contract.InstallContainer {
			finder.walk(container, initContainersPath.Index(i))
		}
	}
	for i, container := range pod.Spec.Containers {
		finder.walk(container, containersPath.Index(i))
	}
	for i, volume := range pod.Spec.Volumes {
		if volume.Name != contract.AgentTokenVolume {
			finder.walk(volume, volumesPath.Index(i))
		}
	}
	finder.walk(plugin, pluginPath)
	return finder.errs
}

type secretFinder struct {
	protected []string
	errs      field.ErrorList
}

func (f *secretFinder) walk(value any, path *field.Path) {
	text, err := json.Marshal(value)
	if err != nil {
		f.errs = append(f.errs, field.InternalError(path, err))
		return
	}
	// Most pods do not even contain the name.
	if !slices.ContainsFunc(f.protected, func(name string) bool { return strings.Contains(string(text), strconv.Quote(name)) }) {
		return
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		f.errs = append(f.errs, field.InternalError(path, err))
		return
	}
	f.visit(tree, path, false)
}

// visit goes through a tree; inSecret says that the parent's key speaks of a
// Secret, so that a name in it is one.
func (f *secretFinder) visit(tree any, path *field.Path, inSecret bool) {
	switch node := tree.(type) {
	case []any:
		for i, child := range node {
			f.visit(child, path.Index(i), inSecret)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			child := node[key]
			name, isString := child.(string)
			secretKey := strings.Contains(strings.ToLower(key), "secret")
			if isString && slices.Contains(f.protected, name) && (secretKey || inSecret && key == "name") {
				f.errs = append(f.errs, field.Forbidden(path.Child(key),
					"this Secret holds the agent's token, which jobs may not have; remove the reference"))
			}
			if !isString {
				f.visit(child, path.Child(key), secretKey)
			}
		}
	}
}

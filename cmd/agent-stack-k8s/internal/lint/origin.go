package lint

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// origins finds out where the author wrote what is in a pod after admission: the
// mutator adds containers, volumes and mounts, and its lists have other indices.
type origins struct {
	step *stepLint
	pod  *corev1.Pod
}

const patchPath = pluginPath + ".podSpecPatch"

// authorPath translates a path of the pod.
func (o origins) authorPath(path string) string {
	list, index, rest, found := element(path)
	if !found {
		return o.prefer(jobpod.AuthorPath(path), patchPath+strings.TrimPrefix(path, "spec"), "")
	}
	switch {
	case list == "spec.containers" && index < len(o.pod.Spec.Containers):
		return o.container(o.pod.Spec.Containers[index], "containers", rest)
	case list == "spec.initContainers" && index < len(o.pod.Spec.InitContainers):
		return o.container(o.pod.Spec.InitContainers[index], "initContainers", rest)
	case list == "spec.volumes" && index < len(o.pod.Spec.Volumes):
		return o.volume(o.pod.Spec.Volumes[index].Name, rest)
	default:
		return jobpod.AuthorPath(path)
	}
}

// element cuts a path such as spec.containers[2].image into its parts. Only lists
// directly below the spec count.
func element(path string) (list string, index int, rest string, found bool) {
	list, after, found := strings.Cut(path, "[")
	inside, rest, closed := strings.Cut(after, "]")
	index, err := strconv.Atoi(inside)

	return list, index, rest, found && closed && err == nil && strings.Count(list, ".") == 1
}

// prefer returns the first of the paths below which the author wrote something.
// The last one is where there is nothing to point at.
func (o origins) prefer(written, patched, otherwise string) string {
	if node, _ := o.step.find(patched); node != nil {
		return patched
	}
	if node, _ := o.step.find(written); node != nil || otherwise == "" {
		return written
	}

	return otherwise
}

// container translates a path below a container.
func (o origins) container(container corev1.Container, list, rest string) string {
	base := o.named(podSpecName+"."+list, container.Name, contract.JobContainerNamePrefix)
	if list == "initContainers" && base == "" {
		base = o.named("sidecars", container.Name, contract.ServiceContainerNamePrefix)
	}
	patch := o.named("podSpecPatch."+list, container.Name, "")
	switch {
	case base == "" && patch == "":
		return o.added(container, rest)
	case base == "":
		base = patch
	}
	if patch != "" {
		if node, _ := o.step.find(patch + rest); node != nil {
			return patch + rest
		}
	}
	// An element beyond the author's own came from elsewhere.
	if parent, _, isElement := lastElement(rest); isElement {
		if node, _ := o.step.find(base + parent); node == nil || node.Kind != document.List {
			return o.added(container, rest)
		}
		if node, _ := o.step.find(base + firstElement(rest)); node == nil {
			return o.added(container, rest)
		}
	}

	return base + rest
}

// lastElement returns the path of the list that a path leads through first.
func lastElement(rest string) (list string, index int, found bool) {
	before, after, found := strings.Cut(rest, "[")
	inside, _, _ := strings.Cut(after, "]")
	index, err := strconv.Atoi(inside)

	return before, index, found && err == nil
}

func firstElement(rest string) string {
	before, after, _ := strings.Cut(rest, "[")
	inside, _, _ := strings.Cut(after, "]")

	return before + "[" + inside + "]"
}

// named finds an element of a list by its name, or by the name that it is given
// where it has none.
func (o origins) named(list, name, prefix string) string {
	node, _ := o.step.find(pluginPath + "." + list)
	if node == nil {
		return ""
	}
	for i, item := range node.Items {
		own := item.Get("name").Text()
		if own == "" && prefix != "" {
			own = prefix + strconv.Itoa(i)
		}
		if own == name {
			return fmt.Sprintf("%s.%s[%d]", pluginPath, list, i)
		}
	}

	return ""
}

// added translates a path to what the plugin's other fields added to a container.
func (o origins) added(container corev1.Container, rest string) string {
	list, index, found := lastElement(rest)
	if !found || list != ".volumeMounts" || index >= len(container.VolumeMounts) {
		return pluginPath
	}
	mount := container.VolumeMounts[index]
	after := strings.TrimPrefix(rest, firstElement(rest))
	for _, name := range extraMounts {
		node, _ := o.step.find(pluginPath + "." + name)
		if node == nil {
			continue
		}
		for i, item := range node.Items {
			if item.Get("name").Text() == mount.Name && item.Get("mountPath").Text() == mount.MountPath {
				return fmt.Sprintf("%s.%s[%d]%s", pluginPath, name, i, after)
			}
		}
	}

	return pluginPath
}

// volume translates a path below a volume.
func (o origins) volume(name, rest string) string {
	if name == contract.GitMirrorsVolume {
		return pluginPath + ".checkout.gitMirrors.volume" + rest
	}
	written := o.named(podSpecName+".volumes", name, "")
	patched := o.named("podSpecPatch.volumes", name, "")
	switch {
	case patched != "" && written != "":
		return o.prefer(written+rest, patched+rest, written)
	case patched != "":
		return patched + rest
	case written != "":
		return written + rest
	default:
		return pluginPath + "." + podSpecName + ".volumes"
	}
}

// missing says that a mount's volume is not there.
func (s *stepLint) missing(path, name string) string {
	if strings.Contains(path, ".resources.claims") {
		return fmt.Sprintf("the pod has no claim %q; add it to podSpec.resourceClaims", name)
	}
	names := []string{contract.WorkspaceVolume}
	for _, list := range []string{podSpecName, "podSpecPatch"} {
		volumes, _ := s.find(pluginPath + "." + list + ".volumes")
		if volumes == nil {
			continue
		}
		for _, volume := range volumes.Items {
			names = append(names, volume.Get("name").Text())
		}
	}
	advice := "add it to podSpec.volumes"
	if near := strict.Nearest(name, names); near != "" && near != name {
		advice = fmt.Sprintf("did you mean %q?", near)
	}

	return fmt.Sprintf("the pod has no volume %q; %s", name, advice)
}

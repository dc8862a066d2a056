package lint

import (
	"fmt"
	"strconv"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// mountList is a list of volume mounts or devices somewhere in the plugin.
type mountList struct {
	node *document.Node
	path string // relative to the plugin
}

// mountLists returns all lists of mounts of a plugin's configuration.
func mountLists(config *document.Node) []mountList {
	var lists []mountList
	add := func(node *document.Node, path string) {
		if node != nil && node.Kind == document.List {
			lists = append(lists, mountList{node: node, path: path})
		}
	}
	containers := func(list *document.Node, path string) {
		if list == nil {
			return
		}
		for i, container := range list.Items {
			for _, kind := range []string{"volumeMounts", "volumeDevices"} {
				add(container.Get(kind), path+"["+strconv.Itoa(i)+"]."+kind)
			}
		}
	}
	podSpec := config.Get(podSpecName)
	for _, kind := range []string{"containers", "initContainers"} {
		containers(podSpec.Get(kind), podSpecName+"."+kind)
	}
	containers(config.Get("sidecars"), "sidecars")
	add(config.Get("extraVolumeMounts"), "extraVolumeMounts")
	for _, params := range []string{"commandParams", "checkout", "sidecarParams"} {
		add(config.Get(params).Get("extraVolumeMounts"), params+".extraVolumeMounts")
	}

	return lists
}

// checkMounts reports mounts of volumes that the pod will not have.
func (s *stepLint) checkMounts(list mountList) {
	volumes := []string{contract.WorkspaceVolume}
	if all := s.config.Get(podSpecName).Get("volumes"); all != nil {
		for _, volume := range all.Items {
			volumes = append(volumes, volume.Get("name").Text())
		}
	}
	known := map[string]bool{}
	for _, volume := range volumes {
		known[volume] = true
	}
	for i, mount := range list.node.Items {
		name := mount.Get("name")
		text := name.Text()
		if name == nil || text == "" || known[text] || reserved(text) || pipeline.Interpolated(text) {
			continue
		}
		advice := "add it to podSpec.volumes"
		if near := strict.Nearest(text, volumes); near != "" {
			advice = fmt.Sprintf("did you mean %q?", near)
		}
		s.add(finding{
			Position: name.Position,
			path:     s.path(fmt.Sprintf("%s.%s[%d].name", pluginPath, list.path, i)),
			text:     fmt.Sprintf("the pod has no volume %q; %s", text, advice),
		})
	}
}

// reserved says whether a volume is one of ours, which the mutator refuses
// to mount with a better sentence.
func reserved(name string) bool {
	switch name {
	case contract.BinVolume, contract.RunVolume, contract.AgentTokenVolume:
		return true
	default:
		return false
	}
}

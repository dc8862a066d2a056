package lint

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// mayCome says whether a pod that the mutator refused may yet have got a volume:
// from a patch, or as one of ours, about which the mutator has a better sentence.
func (s *stepLint) mayCome(volume string) bool {
	if volume == contract.WorkspaceVolume || strings.HasPrefix(volume, "buildkite-") {
		return true
	}
	if patched, _ := s.find(patchPath + ".volumes"); patched != nil {
		for _, one := range patched.Items {
			if one.Get("name").Text() == volume {
				return true
			}
		}
	}
	var patch corev1.PodSpec
	if raw := s.linter.config.PodSpecPatch; len(raw) > 0 && json.Unmarshal(raw, &patch) == nil {
		for _, one := range patch.Volumes {
			if one.Name == volume {
				return true
			}
		}
	}

	return false
}

// early leaves out what cannot be told of a pod that the mutator refused, or of
// one that is built on a template which is not known.
func (s *stepLint) early(errs field.ErrorList) field.ErrorList {
	var kept field.ErrorList
	for _, err := range errs {
		name, _ := err.BadValue.(string)
		switch {
		case err.Type == field.ErrorTypeRequired:
		case err.Type == field.ErrorTypeNotFound && (s.unseenTemplate || s.mayCome(name)):
		default:
			kept = append(kept, err)
		}
	}

	return kept
}

// extraMounts are the plugin's lists of mounts for containers of a kind.
var extraMounts = []string{"extraVolumeMounts", "commandParams.extraVolumeMounts", "checkout.extraVolumeMounts", "sidecarParams.extraVolumeMounts"}

// checkExtraMounts looks at mounts that are not in a pod which the mutator
// refused.
func (s *stepLint) checkExtraMounts(pod *corev1.Pod) {
	known := map[string]bool{}
	for _, volume := range pod.Spec.Volumes {
		known[volume.Name] = true
	}
	for _, list := range extraMounts {
		mounts, _ := s.find(pluginPath + "." + list)
		if mounts == nil {
			continue
		}
		for i, mount := range mounts.Items {
			name := mount.Get("name").Text()
			path := fmt.Sprintf("%s.%s[%d].name", pluginPath, list, i)
			node, at := s.find(path)
			if name == "" || known[name] || s.mayCome(name) || hasVariable(node) || s.seen[s.path(path)] {
				continue
			}
			s.add(finding.Finding{Position: at, Rule: finding.Mount, Path: s.path(path), Text: s.missing(path, name)})
		}
	}
}

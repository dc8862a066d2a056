//go:build linux

package supervise

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// A pod that was there before its job cannot become the pod that the job asks
// for, and a job that passes in another image than its own is a false green.

// wrongPod says why this pod is not the one that the job asks for, or "".
//
// The agent removes the kubernetes plugin from what it passes on unless the
// plugin has a version; otherPlugins is what stops the others.
func (j jobEnvironment) wrongPod() string {
	const advice = "This pod was there before the job and cannot change. Send the job to a queue whose jobs get a pod of their own,\n" +
		"or annotate the pod with " + contract.IgnoreJobPodSpecAnnotation + `: "true" to run such jobs all the same.`
	if image := j["BUILDKITE_IMAGE"]; image != "" {
		return fmt.Sprintf("The step asks for the image %q. %s", image, advice)
	}

	var plugins []map[string]json.RawMessage
	if json.Unmarshal([]byte(j["BUILDKITE_PLUGINS"]), &plugins) != nil {
		// Plugins that the agent cannot read either; it says so itself.
		return ""
	}
	for _, plugin := range plugins {
		for name, parameters := range plugin {
			source, _, _ := strings.Cut(name, "#")
			var fields map[string]json.RawMessage
			if source != contract.KubernetesPlugin || json.Unmarshal(parameters, &fields) != nil {
				continue
			}
			if _, ok := fields["podSpec"]; ok {
				return "The step's kubernetes plugin has a podSpec of its own. " + advice
			}
		}
	}

	return ""
}

// otherPlugins is a regular expression, as the agent's allowed-plugins takes them,
// that matches every plugin but the kubernetes plugin. The agent judges the
// plugins before it removes that one from the job's environment, so this is the
// only sight of it; the group's name is for whoever reads the agent's refusal in
// the job's log.
func otherPlugins() string {
	// RE2 cannot negate, so: a proper prefix of the name, that ends there or goes
	// on differently; or the name, going on without a version.
	var pattern strings.Builder
	pattern.WriteString("^(?P<this_pod_was_there_before_the_job_and_cannot_be_changed_by_the_kubernetes_plugin__see_the_annotation_ignore_job_pod_spec>")
	for _, letter := range contract.KubernetesPlugin {
		fmt.Fprintf(&pattern, "$|[^%s]|%s(", classEscape(letter), regexp.QuoteMeta(string(letter)))
	}
	pattern.WriteString("[^#]")
	pattern.WriteString(strings.Repeat(")", len(contract.KubernetesPlugin)))
	pattern.WriteString(")")

	return pattern.String()
}

// classEscape writes a letter for use inside a character class.
func classEscape(letter rune) string {
	if letter == '-' {
		return `\-`
	}

	return string(letter)
}

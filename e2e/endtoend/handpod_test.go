package endtoend

import (
	"fmt"
	"strings"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

// podOptions are what tests vary in a hand-made pod with one job container.
type podOptions struct {
	job     string
	image   string // default @SHELL@
	command string // a script
	plugin  string // of the kubernetes plugin, on one line
	labels  string // further ones, on one line: "a: b, c: d"
	spec    string // further fields of the pod's, on one line
}

// handMadePod is the manifest of a pod as a person would write it.
func handMadePod(options podOptions) string {
	image := options.image
	if image == "" {
		image = "@SHELL@"
	}
	plugin := options.plugin
	if plugin == "" {
		plugin = "{}"
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  generateName: hand-made-
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: %q, %s}
  annotations:
    buildkite.com/agent-tags: queue=manual
    buildkite.com/plugin: %q
spec: {restartPolicy: Never, containers: [{name: mine, image: %q, command: [/bin/sh, -ec, %q]}], %s}
`, options.job, options.labels, plugin, withImages(image), options.command, options.spec)
}

// withImages puts the images' references into a text.
func withImages(text string) string {
	return strings.NewReplacer("@SHELL@", pulled[images.Shell], "@NOSHELL@", pulled[images.NoShell],
		"@AGENT@", pulled[images.Agent], "@GIT@", pulled[images.Git]).Replace(text)
}

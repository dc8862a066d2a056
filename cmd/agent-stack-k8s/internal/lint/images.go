package lint

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

// imageReference is the form of an image's name: a registry, a path of lower-case
// letters, a tag and a digest.
// Source: https://pkg.go.dev/github.com/distribution/reference
var imageReference = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?/|\[[0-9a-fA-F:]+\](:[0-9]+)?/)?` +
	`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*` +
	`(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`)

// images warns of images that no registry can have. The API server takes them,
// and the pod then waits for ever.
func (s *stepLint) images(pod *corev1.Pod, authorPath func(string) string) {
	for _, list := range []struct {
		name       string
		containers []corev1.Container
	}{{"containers", pod.Spec.Containers}, {"initContainers", pod.Spec.InitContainers}} {
		for i, container := range list.containers {
			path := authorPath(fmt.Sprintf("spec.%s[%d].image", list.name, i))
			node, at := s.find(path)
			if container.Image == "" || imageReference.MatchString(container.Image) || hasVariable(node) || hasVariable(s.step.Node.Get("image")) {
				continue
			}
			s.warn(finding.InvalidValue, at, path, fmt.Sprintf("%q is not the name of an image, and cannot be pulled; want one such as alpine:3", container.Image))
		}
	}
}

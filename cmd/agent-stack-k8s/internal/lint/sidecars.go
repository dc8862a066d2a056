package lint

import (
	"fmt"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

// sidecars warns of services that the job does not wait for.
func (s *stepLint) sidecars() {
	list, _ := s.find(pluginPath + ".sidecars")
	if list == nil {
		return
	}
	for i, sidecar := range list.Items {
		if sidecar.Kind != document.Object || !sidecar.Get("startupProbe").IsNull() {
			continue
		}
		text := "the job does not wait until this service answers; give it a startupProbe, or let the command wait"
		if !sidecar.Get("readinessProbe").IsNull() {
			text = "the job does not wait for a readinessProbe; write it as startupProbe"
		}
		s.warn(finding.Sidecar, sidecar.Position, fmt.Sprintf("%s.sidecars[%d]", pluginPath, i), text)
	}
}

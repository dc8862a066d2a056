package lint

import (
	"fmt"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

// volumes warns of those that say nothing of what they are. Kubernetes makes empty
// directories of them.
func (s *stepLint) volumes() {
	path := pluginPath + "." + podSpecName + ".volumes"
	list, _ := s.find(path)
	if list == nil || s.unseenTemplate {
		return
	}
	for i, volume := range list.Items {
		if volume.Kind != document.Object || volume.Get("name") == nil {
			continue
		}
		sources := 0
		for _, entry := range volume.Entries {
			if entry.Key != "name" && !entry.Value.IsNull() {
				sources++
			}
		}
		if sources == 0 {
			s.warn(finding.Remark, volume.Position, fmt.Sprintf("%s[%d]", path, i),
				"nothing says what the volume is, so that it is an empty directory; write emptyDir: {} if that is meant")
		}
	}
}

package mutator

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// changedSince refuses a pod in which something of ours is not what it was. The
// pod does not tell who did it: another webhook in the same admission, or the
// person who sends in a copy of a pod that was injected before.
func changedSince(path *field.Path) *field.Error {
	remedy := "if another webhook changed it, have that one leave it alone"
	if strings.HasSuffix(path.String(), ".image") {
		remedy += ", or set agentImage and entrypointImage in the mutator's configuration to what it makes of them"
	}
	return field.Forbidden(path, "injected, and not what the mutator wrote; "+remedy+"; if the pod is a copy of an injected one, "+startAgain)
}

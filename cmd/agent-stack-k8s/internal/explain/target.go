package explain

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// target is what the command line names.
type target struct {
	// uuid is a job's, or "" if a pod is named.
	uuid string
	// namespace and pod name a pod.
	namespace, pod string
}

var uuidPattern = regexp.MustCompile(`[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}`)

// parseTarget reads a job's UUID, the address of its page, or the name of a pod:
// POD, NAMESPACE/POD or pod/POD.
func parseTarget(text string) (target, error) {
	switch {
	case strings.HasPrefix(text, "http://"), strings.HasPrefix(text, "https://"):
		// The build's page with the job after #, or with ?jid=; the last UUID is the
		// job's.
		all := uuidPattern.FindAllString(text, -1)
		if len(all) == 0 {
			return target{}, fmt.Errorf("%q names no job: copy the job's address, which ends in #UUID", text)
		}
		return target{uuid: strings.ToLower(all[len(all)-1])}, nil
	case text != "" && uuidPattern.FindString(text) == text:
		return target{uuid: strings.ToLower(text)}, nil
	}
	name := strings.TrimPrefix(strings.TrimPrefix(text, "pods/"), "pod/")
	namespace, pod, hasNamespace := strings.Cut(name, "/")
	if !hasNamespace {
		namespace, pod = "", name
	}
	if pod == "" || strings.Contains(pod, "/") {
		return target{}, fmt.Errorf("%q is neither a job's UUID nor its address nor a pod (POD or NAMESPACE/POD)", text)
	}
	result := target{namespace: namespace, pod: pod}
	if uuid, isJob := strings.CutPrefix(pod, contract.JobPrefix); isJob && uuidPattern.FindString(uuid) == uuid {
		result.uuid = uuid
	}
	return result, nil
}

package endtoend

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
)

// jobsNamespace makes a namespace for jobs with the agent token and further
// labels, and a dispatcher for it that takes the jobs of the queue of the same
// name, with further arguments.
func jobsNamespace(t *testing.T, name, labels string, arguments ...string) *dispatcherProcess {
	t.Helper()
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s, labels: {buildkite.com/jobs: enabled, %[2]s}}
---
apiVersion: v1
kind: Secret
metadata: {name: buildkite-agent-token, namespace: %[1]s}
data: {BUILDKITE_AGENT_TOKEN: %[3]s}
`, name, labels, base64.StdEncoding.EncodeToString([]byte(agentToken)))
	// It may be what an interrupted run left behind.
	if _, err := kube.Run(t.Context(), "delete", "namespace", name, "--ignore-not-found"); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RunInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "delete", "namespace", name, "--wait=false")
	})
	// Pods need the service account, which a controller makes.
	eventually(t, "the service account of namespace "+name, func(ctx context.Context) (bool, error) {
		_, err := kube.Run(ctx, "-n", name, "get", "serviceaccount", "default")
		return err == nil, err
	})
	return startDispatcher(t, append([]string{"--namespace=" + name, "--queue=" + name, "--controller-id=" + name}, arguments...)...)
}

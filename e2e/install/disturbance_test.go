package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mutatorRolledUnderLoad: neither a new version of the mutator nor a new
// certificate costs one admission.
func mutatorRolledUnderLoad(t *testing.T) {
	deployment := "deployment/" + fullname + "-mutator"
	load := startLoad(t)
	serials := map[string]bool{}
	for i := range 10 {
		kubectl(t, "-n", namespace, "rollout", "restart", deployment)
		if i%2 == 1 {
			serials[renewCertificate(t)] = true
		}
		kubectl(t, "-n", namespace, "rollout", "status", deployment, "--timeout=120s")
	}
	if len(serials) != 5 {
		t.Errorf("%d certificates were issued, want 5", len(serials))
	}
	pods := strings.Fields(kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/component=mutator", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"))
	kubectl(t, "-n", namespace, "delete", "pod", pods[0])
	kubectl(t, "-n", namespace, "rollout", "status", deployment, "--timeout=120s")
	load.stop(t)
}

// renewCertificate has cert-manager issue the leaf anew, as `cmctl renew` does, and
// returns what tells the new one from the others.
func renewCertificate(t *testing.T) string {
	t.Helper()
	secret := fullname + "-mutator-tls"
	before, err := api.CoreV1().Secrets(namespace).Get(t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	issuing := fmt.Sprintf(`{"status":{"conditions":[{"type":"Issuing","status":"True","reason":"ManuallyTriggered","message":"renewed by hand","lastTransitionTime":%q}]}}`, time.Now().UTC().Format(time.RFC3339))
	kubectl(t, "-n", namespace, "patch", "certificate", fullname+"-mutator", "--subresource=status", "--type=merge", "-p", issuing)
	var serial string
	eventually(t, "another certificate", func(ctx context.Context) (bool, error) {
		now, err := api.CoreV1().Secrets(namespace).Get(ctx, secret, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("read the certificate: %w", err)
		}
		serial = string(now.Data["tls.crt"])
		return serial != string(before.Data["tls.crt"]), nil
	})
	return serial
}

// webhookConfigurationDeleted: without the webhook nothing runs that the mutator
// has not seen, jobs wait, and all goes on by itself when it is back.
func webhookConfigurationDeleted(t *testing.T) {
	saved := kubectl(t, "get", "mutatingwebhookconfiguration", webhookName, "-o", "yaml")
	kubectl(t, "delete", "mutatingwebhookconfiguration", webhookName)
	build := start(t, oneJob)
	job := build.Commands()[0]

	ungated := `{apiVersion: v1, kind: Pod, metadata: {name: ungated, labels: {buildkite.com/inject: "true"}}, spec: {containers: [{name: a, image: none}]}}`
	eventually(t, "an ungated pod to be refused", func(ctx context.Context) (bool, error) {
		_, err := kube.RunInput(ctx, ungated, "-n", jobNamespace, "create", "--dry-run=server", "-f", "-")
		return err != nil && strings.Contains(err.Error(), "has not made it a job runner"), nil
	})
	apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: gated, namespace: `+jobNamespace+`, labels: {buildkite.com/inject: "true"}},
spec: {schedulingGates: [{name: buildkite.com/inject}], containers: [{name: a, image: none}]}}`)
	eventually(t, "the build to be told", func(ctx context.Context) (bool, error) {
		annotations, err := client.Annotations(ctx, build.UUID)
		return len(annotations) > 0, err
	})
	if node := kubectl(t, "-n", jobNamespace, "get", "pod", "gated", "-o", "jsonpath={.spec.nodeName}"); node != "" {
		t.Errorf("the gated pod has the node %s", node)
	}
	if running := kubectl(t, "-n", jobNamespace, "get", "pods", "--field-selector=status.phase=Running", "-o", "name"); running != "" {
		t.Errorf("pods run without the webhook: %s", running)
	}
	if current, err := client.Job(t.Context(), job.UUID); err != nil || current.State != "scheduled" {
		t.Errorf("the job is %s (%v)", current.State, err)
	}
	kubectl(t, "-n", jobNamespace, "delete", "pod", "gated")
	apply(t, saved)
	ends(t, build, "passed")
}

// quotaAndLimitRange: jobs that find no room wait for it; what the namespace
// demands of containers they have.
func quotaAndLimitRange(t *testing.T) {
	apply(t, `
apiVersion: v1
kind: ResourceQuota
metadata: {name: small, namespace: `+jobNamespace+`}
spec: {hard: {pods: "2", requests.cpu: "2", limits.memory: 4Gi}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: `+jobNamespace+`}
spec: {limits: [{type: Container, default: {memory: 128Mi, cpu: "1"}, defaultRequest: {memory: 32Mi, cpu: 50m}}]}
`)
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "resourcequota/small", "limitrange/defaults")
	})
	// Finished pods count for a quota of pods until they are gone.
	kubectl(t, "-n", jobNamespace, "delete", "pods", "--all")
	passes(t, `
steps:
- {label: a, command: "true", agents: {queue: kubernetes}}
- {label: b, command: "true", agents: {queue: kubernetes}}
`)
}

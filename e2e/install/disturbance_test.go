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

// drainAndEviction: a node is drained, and a pod evicted, while jobs run. The agent
// has its grace, and Buildkite shows that it was stopped.
func drainAndEviction(t *testing.T) {
	build := start(t, `
steps:
- {label: drained, command: "echo begun; sleep 120", agents: {queue: kubernetes}}
`)
	begun(t, build)
	drained := time.Now()
	kubectl(t, "drain", "local", "--pod-selector=buildkite.com/job-uuid", "--delete-emptydir-data", "--force", "--ignore-daemonsets", "--timeout=100s")
	kubectl(t, "uncordon", "local")
	ended := ends(t, build, "failed")
	job := ended.Commands()[0]
	t.Logf("drained: exit status %v, signal reason %q, %.1f s after it", job.ExitStatus, job.SignalReason, job.FinishedAt.Sub(drained).Seconds())
	if job.ExitStatus == nil || *job.ExitStatus != -1 || job.SignalReason != "agent_stop" {
		t.Errorf("the job ended with %v and %q, want -1 and agent_stop", job.ExitStatus, job.SignalReason)
	}
	eventually(t, "the build to say why", func(ctx context.Context) (bool, error) {
		annotations, err := client.Annotations(ctx, build.UUID)
		for _, annotation := range annotations {
			if strings.Contains(annotation.Body, "evicted") {
				return true, err
			}
		}
		return false, err
	})
}

// secondInstallation: a canary beside the stable one, in namespaces of its own, one
// of which was there before. Each injects into its own pods.
func secondInstallation(t *testing.T) {
	kubectl(t, "create", "namespace", "further-jobs")
	kubectl(t, "label", "namespace", "further-jobs", "buildkite.com/jobs=enabled", "pod-security.kubernetes.io/enforce=restricted")
	values := settings("canary")
	set(values, "canary", "mutator", "name")
	set(values, []any{map[string]any{"name": "further-jobs", "podSecurity": "restricted"}}, "furtherJobNamespaces")
	set(values, []any{map[string]any{"queue": "canary"}, map[string]any{"queue": "further", "namespace": "further-jobs"}}, "config", "queues")
	delete(values["config"].(map[string]any), "queue")
	upgrade(t, "canary", "canary-system", chartReference, versionN, values)
	passes(t, `
steps:
- {label: stable, command: "true", agents: {queue: kubernetes}}
- {label: canary, command: "true", agents: {queue: canary}}
- {label: further, command: "true", agents: {queue: further}}
`)
	if labels := kubectl(t, "-n", "canary-system-jobs", "get", "pods", "-o", `jsonpath={.items[*].metadata.labels.buildkite\.com/mutator}`); labels != "canary" {
		t.Errorf("pods of the canary have the label %q", labels)
	}
	if user := kubectl(t, "-n", "further-jobs", "get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].securityContext.runAsNonRoot}"); user != "true" {
		t.Errorf("in a restricted namespace runAsNonRoot is %q", user)
	}
	mustHelm(t, "uninstall", "canary", "--namespace", "canary-system", "--wait")
	passes(t, oneJob)
}

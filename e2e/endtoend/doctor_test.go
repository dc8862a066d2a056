package endtoend

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

// diagnosis is what doctor found.
type diagnosis struct {
	Results []struct {
		Check  string `json:"check"`
		Status string `json:"status"`
		Where  string `json:"where"`
		What   string `json:"what"`
		Mend   string `json:"mend"`
	} `json:"results"`
}

// failing lists what is not ok, a line each.
func (d diagnosis) failing() string {
	var lines []string
	for _, result := range d.Results {
		if result.Status == "failed" || result.Status == "unknown" {
			lines = append(lines, result.Status+" "+result.Check+": "+result.Where+": "+result.What+" | "+result.Mend)
		}
	}
	return strings.Join(lines, "\n")
}

// says reports whether a failed result of the check has the words in it, and
// says how to mend it.
func (d diagnosis) says(check, words string) bool {
	for _, result := range d.Results {
		if result.Check == check && result.Status == "failed" && strings.Contains(result.Where+": "+result.What, words) && result.Mend != "" {
			return true
		}
	}
	return false
}

// commandLine runs agent-stack-k8s against the cluster.
func commandLine(ctx context.Context, t *testing.T, arguments ...string) (status int, stdout, stderr string) {
	t.Helper()
	command := exec.CommandContext(ctx, filepath.Join(bin, "agent-stack-k8s"), append([]string{arguments[0], "--kubeconfig=" + kube.Kubeconfig, "--context=" + kube.Context}, arguments[1:]...)...)
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	err := command.Run()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), complaints.String()
}

func examine(ctx context.Context, t *testing.T) (int, diagnosis) {
	t.Helper()
	status, stdout, stderr := commandLine(ctx, t, "doctor", "-o", "json")
	var found diagnosis
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("exit status %d: %v\n%s%s", status, err, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, graphqlToken) || strings.Contains(stdout+stderr, agentToken) {
		t.Fatalf("doctor shows a token:\n%s", stdout)
	}
	return status, found
}

// isHealthy waits until doctor finds nothing wrong, warnings or not.
func isHealthy(t *testing.T) {
	t.Helper()
	eventually(t, "doctor to find nothing wrong", func(ctx context.Context) (bool, error) {
		status, found := examine(ctx, t)
		if status != 0 {
			return false, errors.New(found.failing())
		}
		return true, nil
	})
}

// TestDoctor breaks the installation in one way after another, has doctor find
// it, and mends it. It does not run beside other tests.
func TestDoctor(t *testing.T) {
	isHealthy(t)
	other, err := stack.NewCertificate("mutator", systemNamespace)
	if err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			if _, err := kube.Run(context.WithoutCancel(t.Context()), arguments...); err != nil {
				t.Fatal(err)
			}
		}
	}
	patch := func(object, text string, more ...string) func(*testing.T) {
		return run(append(append([]string{"patch", object}, more...), "--type=json", "-p", text)...)
	}
	all := func(steps ...func(*testing.T)) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			for _, step := range steps {
				step(t)
			}
		}
	}
	saved := func(object string, more ...string) string {
		t.Helper()
		text, err := kube.Run(t.Context(), append([]string{"get", object, "-o", "json"}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		var kept map[string]any
		if err := json.Unmarshal([]byte(text), &kept); err != nil {
			t.Fatal(err)
		}
		metadata, _ := kept["metadata"].(map[string]any)
		for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
			delete(metadata, field)
		}
		delete(kept, "status")
		result, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		return string(result)
	}
	restore := func(manifest string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			if _, err := kube.RunInput(context.WithoutCancel(t.Context()), manifest, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
				t.Fatal(err)
			}
		}
	}
	const webhook = "mutatingwebhookconfiguration/00-buildkite-mutator"
	inSystem, inJobs := "--namespace="+systemNamespace, "--namespace="+jobNamespace
	base64Of := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

	for _, tc := range []struct {
		name          string
		breaks, mends func(*testing.T)
		check, words  string
	}{
		{
			"webhook lets failures through",
			patch(webhook, `[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]`),
			patch(webhook, `[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]`),
			"webhook", "failurePolicy is not Fail",
		},
		{
			"webhook gone", run("delete", webhook), restore(saved(webhook)),
			"webhook", "no pod becomes a job runner",
		},
		{
			"another authority's bundle",
			all(
				patch(webhook, `[{"op": "remove", "path": "/metadata/annotations/cert-manager.io~1inject-ca-from"}]`),
				patch(webhook, `[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "`+base64Of(string(other.Authority))+`"}]`),
			),
			patch(webhook, `[{"op": "add", "path": "/metadata/annotations", "value": {"cert-manager.io/inject-ca-from": "`+systemNamespace+`/mutator"}}]`),
			"ca-bundle", "has not signed the certificate",
		},
		{
			"issuer gone", run("delete", "issuer/mutator-ca", inSystem), restore(saved("issuer/mutator-ca", inSystem)),
			"certificate", "Issuer buildkite/mutator-ca: is not there",
		},
		{
			"policy edited",
			patch("validatingadmissionpolicy/buildkite-injected", `[{"op": "replace", "path": "/spec/validations/3/expression", "value": "true"}]`),
			restore(saved("validatingadmissionpolicy/buildkite-injected")),
			"policy", "its validations were edited",
		},
		{
			"policy not bound", run("delete", "validatingadmissionpolicybinding/buildkite-ephemeral-containers"),
			restore(saved("validatingadmissionpolicybinding/buildkite-ephemeral-containers")),
			"policy", "a debug container could read the agent's token",
		},
		{
			"mutator gone", all(run("scale", "deployment/mutator", inSystem, "--replicas=0"), run("wait", "pod", inSystem, "-l", "app.kubernetes.io/component=mutator", "--for=delete", "--timeout=60s")),
			all(run("scale", "deployment/mutator", inSystem, "--replicas=2"), run("rollout", "status", "deployment/mutator", inSystem, "--timeout=90s")),
			"admission", "was refused (mutator)",
		},
		{
			"namespace not opted in", run("label", "namespace", jobNamespace, "buildkite.com/jobs-"),
			run("label", "namespace", jobNamespace, "buildkite.com/jobs=enabled"),
			"namespace", "has not opted in",
		},
		{
			"agent token gone", run("delete", "secret/buildkite-agent-token", inJobs), restore(saved("secret/buildkite-agent-token", inJobs)),
			"agent-token", "is not there",
		},
		{
			"agent token under another key",
			patch("secret/buildkite-agent-token", `[{"op": "move", "from": "/data/BUILDKITE_AGENT_TOKEN", "path": "/data/token"}]`, inJobs),
			patch("secret/buildkite-agent-token", `[{"op": "move", "from": "/data/token", "path": "/data/BUILDKITE_AGENT_TOKEN"}]`, inJobs),
			"agent-token", "has no key BUILDKITE_AGENT_TOKEN, or an empty one, so agents cannot start; it has token",
		},
		{
			"role not bound", run("delete", "rolebinding/dispatcher", inJobs), restore(saved("rolebinding/dispatcher", inJobs)),
			"rbac", "may not get pods, list pods",
		},
		{
			"nobody leads", all(run("scale", "deployment/dispatcher", inSystem, "--replicas=0"), run("wait", "pod", inSystem, "-l", "app.kubernetes.io/component=dispatcher", "--for=delete", "--timeout=60s")),
			all(run("scale", "deployment/dispatcher", inSystem, "--replicas=2"), run("rollout", "status", "deployment/dispatcher", inSystem, "--timeout=90s")),
			"leader", "no replica leads",
		},
		{
			"API token wrong",
			patch("secret/buildkite-tokens", `[{"op": "replace", "path": "/data/BUILDKITE_TOKEN", "value": "`+base64Of("no-token")+`"}]`, inSystem),
			patch("secret/buildkite-tokens", `[{"op": "replace", "path": "/data/BUILDKITE_TOKEN", "value": "`+base64Of(graphqlToken)+`"}]`, inSystem),
			"buildkite", "Buildkite refuses it",
		},
		{
			"queue paused",
			func(t *testing.T) { pause(t, true) }, func(t *testing.T) { pause(t, false) },
			"queue", "Buildkite queue kubernetes: is paused",
		},
		{
			"quota used up", restore(`{apiVersion: v1, kind: ResourceQuota, metadata: {name: none, namespace: ` + jobNamespace + `}, spec: {hard: {pods: "0"}}}`),
			run("delete", "resourcequota/none", inJobs),
			"quota", "has no room for another pod",
		},
		{
			"pods are not restricted", run("label", "--overwrite", "namespace", jobNamespace, "pod-security.kubernetes.io/enforce=restricted"),
			run("label", "--overwrite", "namespace", jobNamespace, "pod-security.kubernetes.io/enforce=baseline"),
			"admission", "was refused (pod-security)",
		},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			t.Cleanup(func() { tc.mends(t) })
			tc.breaks(t)
			eventually(t, "doctor to find it", func(ctx context.Context) (bool, error) {
				status, found := examine(ctx, t)
				if status != 1 || !found.says(tc.check, tc.words) {
					return false, errors.New(found.failing())
				}
				return true, nil
			})
		})
	}
	isHealthy(t)
}

func pause(t *testing.T, paused bool) {
	t.Helper()
	if _, err := client.SetQueuePaused(context.WithoutCancel(t.Context()), clusterUUID, "kubernetes", paused); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorWithoutACluster: it says so, and that is no diagnosis.
func TestDoctorWithoutACluster(t *testing.T) {
	status, stdout, stderr := commandLine(t.Context(), t, "doctor", "--kubeconfig=/nowhere", "--context=")
	if status != 3 || stdout != "" || !strings.Contains(stderr, "/nowhere") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
}

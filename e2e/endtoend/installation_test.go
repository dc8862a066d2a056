package endtoend

import (
	"context"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

// installMutator runs a second mutator with settings of its own, beside the one
// of all tests. It injects into pods with the label buildkite.com/mutator=name.
// It is a process of this machine, where the API server finds it as it would
// outside the cluster.
func installMutator(t *testing.T, name string, settings map[string]any) {
	t.Helper()
	directory := t.TempDir()
	chain, key, authority := nodeCertificate(t)
	config := map[string]any{
		"apiVersion": "buildkite.com/v1alpha1", "kind": "MutatorConfiguration",
		"agentImage": pulled[images.Agent], "entrypointImage": pulled[images.Entrypoint], "agentEndpoint": simulatorURL + "/v3",
	}
	maps.Copy(config, settings)
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"config.yaml": text, "tls.crt": chain, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(directory, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, healthPort := freePort(t), freePort(t)
	log := &lockedBuffer{}
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "mutator"), "serve", "--config="+filepath.Join(directory, "config.yaml"),
		"--tls-cert-file="+filepath.Join(directory, "tls.crt"), "--tls-private-key-file="+filepath.Join(directory, "tls.key"),
		"--bind-address="+nodeIP, "--port="+port, "--health-port="+healthPort, "--drain-delay=0s")
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.Stdout, command.Stderr = log, log
	// SIGKILL would be the default; the mutator should end as in a cluster.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "delete", "mutatingwebhookconfiguration", webhookOf(name), "--ignore-not-found")
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the mutator %s said:\n%s", name, log)
		}
	})
	registerMutator(t, name, "https://"+net.JoinHostPort(nodeIP, port)+"/mutate", authority)
	probe := strings.Replace(handMadePod(podOptions{job: "is-it-there", command: "true", labels: "buildkite.com/mutator: " + name}), "spec: {", "spec: {schedulingGates: [{name: buildkite.com/inject}], ", 1)
	eventually(t, "the mutator "+name+" to answer for a pod", func(ctx context.Context) (bool, error) {
		output, err := kube.RunInput(ctx, probe, "-n", jobNamespace, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		return strings.Contains(output, "buildkite.com/injected:"), err
	})
}

func webhookOf(name string) string { return "00-buildkite-mutator-" + name }

// registerMutator makes of the webhook in manifests/ one for the second
// installation.
func registerMutator(t *testing.T, name, url string, authority []byte) {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "manifests", "base", "webhook.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var webhook admissionregistrationv1.MutatingWebhookConfiguration
	if err := yaml.UnmarshalStrict(manifest, &webhook); err != nil {
		t.Fatal(err)
	}
	webhook.Name = webhookOf(name)
	hook := &webhook.Webhooks[0]
	hook.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new(url), CABundle: authority}
	hook.ObjectSelector.MatchExpressions = nil
	hook.ObjectSelector.MatchLabels["buildkite.com/mutator"] = name
	text, err := yaml.Marshal(webhook)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RunInput(t.Context(), string(text), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(nodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

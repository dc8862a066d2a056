package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

const chartDirectory = "../../charts/agent-stack-k8s"

// helm runs Helm against the cluster and returns what it printed.
func helm(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(bin, "helm"), append([]string{"--kubeconfig=" + kube.Kubeconfig, "--kube-context=" + kube.Context}, arguments...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", arguments[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String() + stderr.String(), nil
}

func mustHelm(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := helm(t.Context(), arguments...)
	if err != nil {
		t.Fatalf("%v\n%s", err, clusterState())
	}
	return output
}

// publish packages the chart and pushes it to the registry.
func publish(t *testing.T) {
	t.Helper()
	directory := t.TempDir()
	mustHelm(t, "package", chartDirectory, "--version", versionN, "--app-version", versionN, "--destination", directory)
	mustHelm(t, "push", filepath.Join(directory, "agent-stack-k8s-"+versionN+".tgz"), chartRegistry, "--plain-http")
}

// settings are the values of every release: those that the README has, and where
// this cluster finds images and Buildkite.
func settings() map[string]any {
	image := func(name string) map[string]any {
		reference := pulled[name]
		slash := strings.Index(reference, "/")
		colon := strings.LastIndex(reference, ":")
		return map[string]any{"image": map[string]any{
			"registry": reference[:slash], "repository": reference[slash+1 : colon], "tag": reference[colon+1:],
		}}
	}
	return map[string]any{
		"agentToken": agentToken, "graphqlToken": graphqlToken,
		"agent": image(images.Agent), "entrypoint": image(images.Entrypoint),
		"dispatcher": image(images.Dispatcher), "mutator": image(images.Mutator),
		"config": map[string]any{
			"org": organization, "cluster-uuid": clusterUUID, "queue": "kubernetes",
			"graphql-endpoint": simulatorURL + "/graphql", "agent-endpoint": simulatorURL + "/v3",
			"rest-endpoint": simulatorURL + "/v2", "max-in-flight": 10, "annotate-after": "2s",
		},
	}
}

// upgrade installs or upgrades the release and waits until it serves.
func upgrade(t *testing.T) string {
	t.Helper()
	text, err := yaml.Marshal(settings())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return mustHelm(t,
		"upgrade", "--install", release, chartReference, "--plain-http", "--create-namespace", "--namespace", namespace,
		"--values", file, "--wait", "--timeout", "3m", "--version", versionN,
	)
}

const chartReference = chartRegistry + "/agent-stack-k8s"

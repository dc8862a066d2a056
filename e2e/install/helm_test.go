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

// publish packages the chart under a version and pushes it to the registry. It
// returns its digest.
func publish(t *testing.T, version string) string {
	t.Helper()
	directory := t.TempDir()
	mustHelm(t, "package", chartDirectory, "--version", version, "--app-version", version, "--destination", directory)
	output := mustHelm(t, "push", filepath.Join(directory, "agent-stack-k8s-"+version+".tgz"), chartRegistry, "--plain-http")
	for line := range strings.Lines(output) {
		if _, digest, found := strings.Cut(line, "Digest: "); found {
			return strings.TrimSpace(digest)
		}
	}
	t.Fatalf("helm push names no digest:\n%s", output)
	return ""
}

// settings are the values of every release: those that the README has, and where
// this cluster finds images and Buildkite.
func settings(queue string) map[string]any {
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
			"org": organization, "cluster-uuid": clusterUUID, "queue": queue,
			"graphql-endpoint": simulatorURL + "/graphql", "agent-endpoint": simulatorURL + "/v3",
			"rest-endpoint": simulatorURL + "/v2", "max-in-flight": 10, "annotate-after": "2s",
		},
	}
}

// upgrade installs or upgrades a release and waits until it serves.
func upgrade(t *testing.T, name, inNamespace, reference, version string, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{
		"upgrade", "--install", name, reference, "--plain-http", "--create-namespace", "--namespace", inNamespace,
		"--values", file, "--wait", "--timeout", "3m",
	}
	if version != "" {
		arguments = append(arguments, "--version", version)
	}
	return mustHelm(t, arguments...)
}

const chartReference = chartRegistry + "/agent-stack-k8s"

// set puts a value into a tree of values.
func set(values map[string]any, value any, path ...string) map[string]any {
	inner := values
	for _, key := range path[:len(path)-1] {
		next, isMap := inner[key].(map[string]any)
		if !isMap {
			next = map[string]any{}
			inner[key] = next
		}
		inner = next
	}
	inner[path[len(path)-1]] = value
	return values
}

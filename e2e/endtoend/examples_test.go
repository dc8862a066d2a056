package endtoend

import (
	"context"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestPipelineExample runs those steps of the example whose images this cluster
// has, one of them with the key of the example of a Secret. The others are linted
// and rendered by `make try`.
func TestPipelineExample(t *testing.T) {
	t.Parallel()
	server := gitServer(t)
	var secret corev1.Secret
	if err := yaml.UnmarshalStrict([]byte(example(t, "ssh-secret.yaml")), &secret); err != nil {
		t.Fatal(err)
	}
	keys := slices.Collect(maps.Keys(secret.StringData))
	if len(keys) != 1 || secret.Namespace != jobNamespace {
		t.Fatalf("the Secret is in %s and has %s", secret.Namespace, keys)
	}
	secret.StringData[keys[0]] = server.key(t, "client")
	manifest, err := yaml.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "secret", secret.Name) })
	if _, err := kube.RunInput(t.Context(), string(manifest), "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}

	hello := start(t, exampleStep(t, ":wave: in the agent's image"))
	private := startWith(t, buildOptions{repository: server.url()}, exampleStep(t, ":git: with a key"))
	hello.passes(t)
	hello.job(t, ":wave: in the agent's image").logs(t, "\nhello from ")
	private.passes(t)
	private.job(t, ":git: with a key").logs(t, "git clone --depth 1")
}

// exampleStep is the example's pipeline with one of its steps alone.
func exampleStep(t *testing.T, label string) string {
	t.Helper()
	var pipeline map[string]any
	if err := yaml.UnmarshalStrict([]byte(example(t, "pipeline.yaml")), &pipeline); err != nil {
		t.Fatal(err)
	}
	steps, _ := pipeline["steps"].([]any)
	steps = slices.DeleteFunc(steps, func(step any) bool {
		fields, _ := step.(map[string]any)
		return fields["label"] != label
	})
	if len(steps) != 1 {
		t.Fatalf("%d steps %q in the example, want one", len(steps), label)
	}
	pipeline["steps"] = steps
	text, err := yaml.Marshal(pipeline)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

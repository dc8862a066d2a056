package mutator_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

func defaultConfig(tb testing.TB) mutator.Config {
	tb.Helper()
	text, err := os.ReadFile("testdata/default.config.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	config, errs := mutator.ParseConfig(text)
	if len(errs) > 0 {
		tb.Fatal(errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

// seeds are all golden pods, before and after, as JSON.
func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.*.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, raw)
	}
	return all
}

// FuzzMutate: whatever the pod, nothing panics, a refused pod is unchanged, the
// patch gives the typed result, containers outside the job stay as they are, and a
// second pass changes nothing.
func FuzzMutate(f *testing.F) {
	config := defaultConfig(f)
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var pod corev1.Pod
		if json.Unmarshal(raw, &pod) != nil {
			return
		}
		before := pod.DeepCopy()
		result, errs := config.Mutate(&pod)
		if len(errs) > 0 {
			if diff := cmp.Diff(before, &pod); diff != "" {
				t.Fatalf("refused pod was changed:\n%s", diff)
			}
			return
		}
		// A patch may change any container, and its command.
		if !strings.Contains(before.Annotations[contract.PluginAnnotation], "podSpecPatch") {
			checkBystanders(t, before, &pod)
			checkWords(t, before, &pod)
		}
		canonical, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		checkPatch(t, canonical, &pod, result)
		again := pod.DeepCopy()
		if _, errs := config.Mutate(again); len(errs) > 0 {
			t.Fatalf("second pass refused: %v", errs.ToAggregate())
		}
		if diff := cmp.Diff(&pod, again); diff != "" {
			t.Fatalf("second pass changed the pod:\n%s", diff)
		}
	})
}

// checkPatch holds the patched JSON against the typed result.
func checkPatch(t *testing.T, raw []byte, pod *corev1.Pod, result mutator.Result) {
	t.Helper()
	operations, err := patch.Options{Originals: result.Originals}.Create(raw, pod)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := patch.Apply(raw, operations)
	if err != nil {
		t.Fatal(err)
	}
	var got corev1.Pod
	if err := json.Unmarshal(patched, &got); err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	have, err := json.Marshal(&got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Fatalf("patched pod differs from the typed one (-typed +patched):\n%s", diff)
	}
}

// checkBystanders compares containers that are not the job's.
func checkBystanders(t *testing.T, before, after *corev1.Pod) {
	t.Helper()
	receipt, err := mutator.ParseReceipt(after.Annotations[contract.InjectedAnnotation])
	if err != nil {
		// Of another version: confirmed, so not changed.
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("pod with a receipt was changed:\n%s", diff)
		}
		return
	}
	job := map[string]bool{}
	for _, container := range receipt.Plan.Containers {
		job[container.Name] = true
	}
	left := map[string]corev1.Container{}
	for _, container := range after.Spec.Containers {
		left[container.Name] = container
	}
	for _, container := range before.Spec.Containers {
		if container.Name == "" || job[container.Name] {
			continue
		}
		if diff := cmp.Diff(container, left[container.Name]); diff != "" {
			t.Fatalf("container %q is not the job's and was changed:\n%s", container.Name, diff)
		}
	}
}

// checkWords: the command and args of a job container are the last words of its
// args, as they were, and Kubernetes replaces nothing in the options before.
func checkWords(t *testing.T, before, after *corev1.Pod) {
	t.Helper()
	for place, original := range before.Spec.Containers {
		container := after.Spec.Containers[place]
		if !slices.Equal(container.Command, []string{contract.EntrypointPath}) || slices.Equal(original.Command, container.Command) {
			continue
		}
		options, words := container.Args, []string(nil)
		if end := slices.Index(options, "--"); end >= 0 {
			options, words = options[:end], options[end+1:]
		}
		if want := slices.Concat(original.Command, original.Args); !slices.Equal(want, words) {
			t.Fatalf("container %q has the words %q, want %q", container.Name, words, want)
		}
		for _, option := range options {
			if strings.Contains(strings.ReplaceAll(option, "$$", ""), "$") {
				t.Fatalf("container %q has the option %q, in which Kubernetes would replace a variable", container.Name, option)
			}
		}
	}
}

// FuzzPlugin: whatever the annotation, nothing panics.
func FuzzPlugin(f *testing.F) {
	config := defaultConfig(f)
	for _, seed := range []string{
		"", "{}", "null", "[]", "sidecars: [{image: a}]", "checkout: {skip: true}", "sidecars: [null]", "gitEnvFrom: [{}]",
		"commandParams: {interposer: vector, envFrom: [{prefix: a}]}", "extraVolumeMounts: [{mountPath: ../a}]", "{a: &a [*a]}", "a: !!binary x",
		"sidecars: [{name: a, image: b, tomorrow: {x: [1, 1e400]}}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, annotation string) {
		if !utf8.ValidString(annotation) {
			// No JSON text holds it.
			return
		}
		pod := corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "job", Image: "a", Command: []string{"b"}}}}}
		pod.Annotations = map[string]string{contract.PluginAnnotation: annotation}
		raw, err := json.Marshal(&pod)
		if err != nil {
			t.Fatal(err)
		}
		result, errs := config.Mutate(&pod)
		if len(errs) > 0 {
			return
		}
		checkPatch(t, raw, &pod, result)
	})
}

// FuzzConfig: whatever the file, nothing panics, and what is accepted can be used.
func FuzzConfig(f *testing.F) {
	for _, file := range []string{"testdata/default.config.yaml", "testdata/handmade-queue.config.yaml", "../manifests/examples/mutator-config.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		config, errs := mutator.ParseConfig(text)
		if len(errs) > 0 {
			return
		}
		_ = config.Digest()
		pod := corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "job"}}}}
		_, _ = config.Mutate(&pod)
	})
}

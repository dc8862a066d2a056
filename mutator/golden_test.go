package mutator

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files from what the code does")

// TestGolden mutates each testdata/NAME.in.yaml with NAME.config.yaml, or else
// default.config.yaml, and compares the pod with NAME.out.yaml, or the errors
// with NAME.errors.txt, and the warnings with NAME.warnings.txt.
func TestGolden(t *testing.T) {
	inputs := glob(t, "*.in.yaml")
	if len(inputs) == 0 {
		t.Fatal("no golden files")
	}
	used := map[string]bool{"testdata/default.config.yaml": true}
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".in.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			config := goldenConfig(t, name)
			pod := decodePod(t, readFile(t, input))
			original := pod.DeepCopy()
			result, errs := config.Mutate(pod)
			golden(t, name+".errors.txt", errorLines(errs))
			golden(t, name+".warnings.txt", lines(result.Warnings))
			if len(errs) > 0 {
				if diff := cmp.Diff(original, pod); diff != "" {
					t.Errorf("refused pod was changed (-before +after):\n%s", diff)
				}
				golden(t, name+".out.yaml", "")
				return
			}
			golden(t, name+".out.yaml", encodePod(t, pod))
			checkFixpoint(t, config, pod)
		})
		for _, suffix := range []string{".in.yaml", ".config.yaml", ".out.yaml", ".errors.txt", ".warnings.txt"} {
			used[name+suffix] = true
		}
	}
	for _, file := range glob(t, "*") {
		if !used[file] && filepath.Base(file) != "fuzz" {
			t.Errorf("%s belongs to no input; remove it", file)
		}
	}
}

// checkFixpoint mutates a mutated pod again, with its own configuration and
// with others, as replicas do during a rollout.
func checkFixpoint(t *testing.T, config Config, pod *corev1.Pod) {
	t.Helper()
	other := config
	other.AgentImage, other.AgentEndpoint, other.EntrypointImage = "other/agent:1", "https://other.example.com/v3", "other/entrypoint:1"
	other.AgentTokenSecret, other.Interposer.Dispatched = "unrelated", InterposerLegacy
	newer := config
	newer.Version = "newer"
	for name, config := range map[string]Config{"same": config, "other config": other, "other version": newer} {
		again := pod.DeepCopy()
		result, errs := config.Mutate(again)
		if len(errs) > 0 {
			t.Errorf("%s: second pass refused: %v", name, errs.ToAggregate())
		}
		if result.Changed {
			t.Errorf("%s: second pass says it changed the pod", name)
		}
		if diff := cmp.Diff(pod, again); diff != "" {
			t.Errorf("%s: second pass changed the pod (-first +second):\n%s", name, diff)
		}
	}
}

func goldenConfig(t *testing.T, name string) Config {
	t.Helper()
	file := name + ".config.yaml"
	if _, err := os.Stat(file); err != nil {
		file = "testdata/default.config.yaml"
	}
	config, errs := ParseConfig([]byte(readFile(t, file)))
	if len(errs) > 0 {
		t.Fatalf("%s: %v", file, errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

// golden compares text with a file, which does not exist where there is none.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if got == "" {
			if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; run `make golden` and read the diff (-want +got):\n%s", file, diff)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decodePod(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(text), &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func encodePod(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	text, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func errorLines(errs field.ErrorList) string {
	all := make([]string, len(errs))
	for i, err := range errs {
		all[i] = err.Error()
	}
	return lines(all)
}

func lines(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "\n") + "\n"
}

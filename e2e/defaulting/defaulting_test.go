package defaulting

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator"
)

const goldens = "../../mutator/testdata"

// TestSecondAdmission: every golden pod, with Kubernetes' defaults in it, is
// confirmed as it is.
func TestSecondAdmission(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1defaults.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(goldens, "*.out.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no golden files")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".out.yaml")
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			if err := yaml.UnmarshalStrict(read(t, file), &pod); err != nil {
				t.Fatal(err)
			}
			written := pod.DeepCopy()
			scheme.Default(&pod)
			if cmp.Equal(written, &pod) {
				t.Fatal("the defaults changed nothing")
			}
			defaulted := pod.DeepCopy()
			result, errs := config(t, name).Mutate(&pod)
			if len(errs) > 0 {
				t.Fatalf("second admission refused: %v", errs.ToAggregate())
			}
			if diff := cmp.Diff(defaulted, &pod); result.Changed || diff != "" {
				t.Errorf("second admission changed the pod (-first +second):\n%s", diff)
			}
		})
	}
}

func config(t *testing.T, name string) mutator.Config {
	t.Helper()
	file := filepath.Join(goldens, name+".config.yaml")
	if _, err := os.Stat(file); err != nil {
		file = filepath.Join(goldens, "default.config.yaml")
	}
	config, errs := mutator.ParseConfig(read(t, file))
	if len(errs) > 0 {
		t.Fatalf("%s: %v", file, errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

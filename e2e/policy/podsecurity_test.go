package policy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator"
)

const goldens = "../../mutator/testdata"

// platformLowers are goldens in which the platform's own settings, or the
// author's plugin fields, ask for less than the pod that arrives: their level.
var platformLowers = map[string]api.Level{
	"policy-platforms-own": api.LevelPrivileged, // a hostPath volume of podSpecPatch
}

// levels are the Pod Security Standards from the strictest.
var levels = []api.Level{api.LevelRestricted, api.LevelBaseline, api.LevelPrivileged}

// standard is the evaluator of the API server's own admission plugin.
func standard(t *testing.T) podsecurity.Evaluator {
	t.Helper()
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return evaluator
}

// levelOf is the strictest level that a pod satisfies, and what stands against
// the one above it.
func levelOf(evaluator podsecurity.Evaluator, pod *corev1.Pod) (int, string) {
	detail := ""
	for rank, level := range levels {
		result := podsecurity.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
		if result.Allowed {
			return rank, detail
		}
		detail = result.ForbiddenDetail()
	}
	return len(levels), detail
}

func readPod(t *testing.T, file string) *corev1.Pod {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	if err := yaml.Unmarshal(text, &pod); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &pod
}

// TestGoldensKeepTheirLevel: what the mutator makes of a pod satisfies the Pod
// Security Standard that the pod satisfied, and restricted where the
// configuration asks for it.
func TestGoldensKeepTheirLevel(t *testing.T) {
	evaluator := standard(t)
	outputs, err := filepath.Glob(filepath.Join(goldens, "*.out.yaml"))
	if err != nil || len(outputs) < 10 {
		t.Fatalf("%d goldens: %v", len(outputs), err)
	}
	made := map[api.Level]int{}
	for _, output := range outputs {
		name := strings.TrimSuffix(filepath.Base(output), ".out.yaml")
		t.Run(name, func(t *testing.T) {
			want, _ := levelOf(evaluator, readPod(t, filepath.Join(goldens, name+".in.yaml")))
			if level, lowered := platformLowers[name]; lowered {
				want = rankOf(t, level)
			} else if asksForRestricted(t, name) {
				want = rankOf(t, api.LevelRestricted)
			}
			got, detail := levelOf(evaluator, readPod(t, output))
			if got > want {
				t.Errorf("the pod is %s, want %s: %s", levels[got], levels[want], detail)
			}
			made[levels[got]]++
		})
	}
	// A pod is only ever as strict as its own containers: without one of each
	// level this would prove little.
	if made[api.LevelRestricted] < 4 || made[api.LevelBaseline] < 4 {
		t.Errorf("levels of the goldens: %v", made)
	}
}

func rankOf(t *testing.T, level api.Level) int {
	t.Helper()
	for rank, other := range levels {
		if level == other {
			return rank
		}
	}
	t.Fatalf("no level %s", level)
	return 0
}

// notRestricted are goldens of podSecurity: restricted that cannot satisfy it.
var notRestricted = map[string]string{
	"secure-explicit-root":  "a container says that it is root's",
	"secure-all-containers": "a container beside the job is left as its webhook made it",
}

func asksForRestricted(t *testing.T, name string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldens, name+".config.yaml"))
	if os.IsNotExist(err) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	config, errs := mutator.ParseConfig(text)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	_, excepted := notRestricted[name]
	return config.PodSecurity == mutator.PodSecurityRestricted && !excepted
}

// TestDefaultPolicyIsBaseline holds the default policy against the pods with
// which Kubernetes tests its own admission plugin: it refuses those that the
// baseline standard refuses, and takes those that it takes.
func TestDefaultPolicyIsBaseline(t *testing.T) {
	directory := fixtures(t)
	config, errs := mutator.ParseConfig([]byte("{apiVersion: buildkite.com/v1alpha1, kind: MutatorConfiguration, agentImage: a, entrypointImage: b}"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for _, kind := range []struct {
		name    string
		refused bool
		atLeast int
	}{{"fail", true, 30}, {"pass", false, 12}} {
		files, err := filepath.Glob(filepath.Join(directory, kind.name, "*.yaml"))
		if err != nil || len(files) < kind.atLeast {
			t.Fatalf("%d pods in %s/%s: %v", len(files), directory, kind.name, err)
		}
		for _, file := range files {
			t.Run(kind.name+"/"+filepath.Base(file), func(t *testing.T) {
				_, errs := config.Mutate(readPod(t, file))
				refused := false
				for _, err := range errs {
					refused = refused || strings.Contains(err.Detail, "the platform's policy")
				}
				if refused != kind.refused {
					t.Errorf("refused by the policy: %v; %v", refused, errs.ToAggregate())
				}
			})
		}
	}
}

// fixtures is the directory of the newest version's baseline pods.
func fixtures(t *testing.T) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	directory := filepath.Join(strings.TrimSpace(string(output)), "test", "testdata", "baseline")
	newest := ""
	versions, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var last api.Version
	for _, entry := range versions {
		version, err := api.ParseVersion(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if newest == "" || last.Older(version) {
			newest, last = entry.Name(), version
		}
	}
	return filepath.Join(directory, newest)
}

package linting

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	kjson "sigs.k8s.io/json"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/randomplugin"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	plugins = 600
	// foreseenShare is how many of a hundred refusals lint has to foresee. It
	// foresees more; this is what a change may not fall below.
	foreseenShare = 97

	config = `
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: ghcr.io/buildkite/agent:3
entrypointImage: entrypoint:1
`
)

// TestLintForetellsValidation asks lint, and the dispatcher, the mutator and
// Kubernetes' validation one after another, about the same steps, sound and broken,
// made from seeds. What those take lint calls no error. The share of refusals that
// lint foresees is printed.
func TestLintForetellsValidation(t *testing.T) {
	errs := lintErrors(t)
	judge := newJudge(t)
	var taken, refused, foreseen int
	var surprises []string
	for seed := range uint64(plugins) {
		found, refusal := errs[file(seed)], judge.refusal(t, seed)
		switch {
		case refusal == "" && len(found) > 0:
			t.Errorf("seed %d: the pod is taken, and lint says %q", seed, found)
		case refusal == "":
			taken++
		case len(found) > 0:
			refused, foreseen = refused+1, foreseen+1
		default:
			refused++
			surprises = append(surprises, fmt.Sprintf("seed %d: %.300s", seed, refusal))
		}
	}
	t.Logf("%d steps: %d are taken and %d refused, of which lint foresees %d (%.1f %%). Not foreseen:\n%s",
		plugins, taken, refused, foreseen, 100*float64(foreseen)/float64(max(refused, 1)), strings.Join(surprises, "\n"))
	if taken < plugins/5 || refused < plugins/5 {
		t.Error("the steps are not the mixture that tells something")
	}
	if foreseen*100 < refused*foreseenShare {
		t.Errorf("lint foresees less than %d %%", foreseenShare)
	}
}

func file(seed uint64) string { return fmt.Sprintf("step-%05d.json", seed) }

// lintErrors are the errors that lint finds, by file. The program is built from
// the checkout.
func lintErrors(t *testing.T) map[string][]string {
	t.Helper()
	directory := t.TempDir()
	program := filepath.Join(t.TempDir(), "agent-stack-k8s")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/agent-stack-k8s")
	build.Dir = filepath.Join("..", "..")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for seed := range uint64(plugins) {
		step := map[string]any{"command": "make", "agents": map[string]any{"queue": "kubernetes"}, "plugins": []any{map[string]any{"kubernetes": randomplugin.Plugin(seed)}}}
		text, err := json.Marshal(map[string]any{"steps": []any{step}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, file(seed)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output, err := exec.CommandContext(t.Context(), program, "lint", "-f", directory, "-o", "json").Output()
	if exit, isExit := errors.AsType[*exec.ExitError](err); err != nil && (!isExit || exit.ExitCode() != 1) {
		t.Fatalf("%v\n%s", err, output)
	}
	var report struct {
		Files    []string `json:"files"`
		Findings []struct {
			File     string `json:"file"`
			Severity string `json:"severity"`
			Path     string `json:"path"`
			Message  string `json:"message"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Files) != plugins {
		t.Fatalf("lint read %d files", len(report.Files))
	}
	found := map[string][]string{}
	for _, one := range report.Findings {
		if one.Severity == "error" {
			name := filepath.Base(one.File)
			found[name] = append(found[name], one.Path+": "+one.Message)
		}
	}
	return found
}

// judge is what stands between a step and its pod.
type judge struct {
	scheme *runtime.Scheme
	config mutator.Config
	tags   jobpod.Tags
}

func newJudge(t *testing.T) judge {
	t.Helper()
	j := judge{scheme: runtime.NewScheme()}
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, corev1conversion.AddToScheme} {
		if err := add(j.scheme); err != nil {
			t.Fatal(err)
		}
	}
	parsed, errs := mutator.ParseConfig([]byte(config))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	j.config = parsed
	tags, err := jobpod.ParseTags([]string{"queue=kubernetes"})
	if err != nil {
		t.Fatal(err)
	}
	j.tags = tags
	return j
}

// refusal says why a step's pod is refused, or nothing.
func (j judge) refusal(t *testing.T, seed uint64) string {
	t.Helper()
	configured, err := json.Marshal([]any{map[string]any{contract.KubernetesPlugin: randomplugin.Plugin(seed)}})
	if err != nil {
		t.Fatal(err)
	}
	submitted, errs := jobpod.Pod(jobpod.Job{
		UUID: "00000000-0000-4000-8000-000000000000", Env: []string{"BUILDKITE_COMMAND=make", "BUILDKITE_PLUGINS=" + string(configured)},
		Rules: []string{"queue=kubernetes"}, ScheduledAt: time.Unix(0, 0),
	}, jobpod.PodSettings{Namespace: "jobs", ControllerID: "test", Tags: j.tags}, nil)
	if len(errs) > 0 {
		return errs.ToAggregate().Error()
	}
	text, err := json.Marshal(submitted.Object)
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	strict, err := kjson.UnmarshalStrict(text, &pod)
	if err != nil || len(strict) > 0 {
		return errors.Join(append(slices.Clone(strict), err)...).Error()
	}
	// As the API server does before and after it asks the webhook.
	j.scheme.Default(&pod)
	if _, errs := j.config.Mutate(&pod); len(errs) > 0 {
		return errs.ToAggregate().Error()
	}
	j.scheme.Default(&pod)
	pod.Spec.SchedulingGates = nil
	var internal core.Pod
	if err := j.scheme.Convert(&pod, &internal, nil); err != nil {
		return err.Error()
	}
	options := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	options.ResourceIsPod = true
	if errs := validation.ValidatePodCreate(&internal, options); len(errs) > 0 {
		return errs.ToAggregate().Error()
	}
	return ""
}

package endtoend

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/randomplugin"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	// lintedPlugins is how many plugins lint and the API server are asked about.
	lintedPlugins = 400
	// foreseenShare is how many of a hundred refusals of the API server lint has to
	// foresee. It foresees more; this is what a change may not fall below.
	foreseenShare = 97
)

// TestLintForetellsTheServer asks lint and the API server about the same steps,
// sound and broken, made from seeds: the server about the pods that the dispatcher
// submits for them, with the mutator in the path, in a dry run. What the server
// takes lint calls no error. The share of its refusals that lint foresees is
// printed.
func TestLintForetellsTheServer(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for seed := range uint64(lintedPlugins) {
		step := map[string]any{"command": "make", "agents": map[string]any{"queue": "kubernetes"}, "plugins": []any{map[string]any{"kubernetes": randomplugin.Plugin(seed)}}}
		text, err := json.Marshal(map[string]any{"steps": []any{step}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(lintedFile(directory, seed), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	errs := lintErrors(t, mutatorConfig(t), directory)
	pods := podCreator(t)
	var taken, refused, foreseen, byDispatcher int
	var surprises []string
	for seed := range uint64(lintedPlugins) {
		found := errs[lintedFile(directory, seed)]
		refusal, fromDispatcher := submit(t, pods, seed)
		switch {
		case refusal == "":
			taken++
			if len(found) > 0 {
				t.Errorf("seed %d: the API server takes it, and lint says %q", seed, found)
			}
		case fromDispatcher:
			byDispatcher++
			if len(found) == 0 {
				t.Errorf("seed %d: the dispatcher refuses it, and lint does not: %s", seed, refusal)
			}
		case len(found) > 0:
			refused, foreseen = refused+1, foreseen+1
		default:
			refused++
			surprises = append(surprises, fmt.Sprintf("seed %d: %s", seed, refusal))
		}
	}
	t.Logf("%d steps: the API server takes %d and refuses %d, of which lint foresees %d (%.1f %%); the dispatcher refuses %d, all foreseen. Not foreseen:\n%s",
		lintedPlugins, taken, refused, foreseen, 100*float64(foreseen)/float64(max(refused, 1)), byDispatcher, strings.Join(surprises, "\n"))
	if taken < lintedPlugins/5 || refused < lintedPlugins/5 {
		t.Error("the steps are not the mixture that tells something")
	}
	if foreseen*100 < refused*foreseenShare {
		t.Errorf("lint foresees less than %d %%", foreseenShare)
	}
}

func lintedFile(directory string, seed uint64) string {
	return filepath.Join(directory, fmt.Sprintf("step-%04d.json", seed))
}

// lintErrors are the errors that lint finds, by file.
func lintErrors(t *testing.T, config, directory string) map[string][]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "agent-stack-k8s"), "lint", "-f", directory, "--config", config, "-o", "json")
	output, err := command.Output()
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
	if len(report.Files) != lintedPlugins {
		t.Fatalf("lint read %d files", len(report.Files))
	}
	found := map[string][]string{}
	for _, one := range report.Findings {
		if one.Severity == "error" {
			found[one.File] = append(found[one.File], one.Path+": "+one.Message)
		}
	}
	return found
}

func podCreator(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kube.Kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: kube.Context},
	).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	// The mutator's are not what is asked here.
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(jobNamespace)
}

// submit makes the pod of a step as the dispatcher does, and has the API server
// judge it. It returns why it is refused, and whether the dispatcher does so.
func submit(t *testing.T, pods dynamic.ResourceInterface, seed uint64) (refusal string, byDispatcher bool) {
	t.Helper()
	plugins, err := json.Marshal([]any{map[string]any{contract.KubernetesPlugin: randomplugin.Plugin(seed)}})
	if err != nil {
		t.Fatal(err)
	}
	tags, err := jobpod.ParseTags([]string{"queue=kubernetes"})
	if err != nil {
		t.Fatal(err)
	}
	job := jobpod.Job{
		UUID:  fmt.Sprintf("00000000-0000-4000-8000-%012d", seed),
		Env:   []string{"BUILDKITE_COMMAND=make", "BUILDKITE_PLUGINS=" + string(plugins)},
		Rules: []string{"queue=kubernetes"}, ScheduledAt: time.Unix(0, 0),
	}
	pod, errs := jobpod.Pod(job, jobpod.PodSettings{Namespace: jobNamespace, ControllerID: "lint", Tags: tags}, nil)
	if len(errs) > 0 {
		return errs.ToAggregate().Error(), true
	}
	_, err = pods.Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	switch {
	case err == nil:
		return "", false
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err):
		return err.Error(), false
	default:
		// The mutator's refusals are 422, which are Invalid.
		t.Fatalf("seed %d: %v", seed, err)
		return "", false
	}
}

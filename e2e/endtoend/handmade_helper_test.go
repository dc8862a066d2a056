package endtoend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// runner is a pod that a person writes, alone or in a Job.
type runner struct {
	// name is left to the API server if it is empty.
	name string
	// jobUUID is empty for the next job of the queue.
	jobUUID, queue string
	labels         map[string]string
	annotations    map[string]string
	// command is empty for the job's own.
	command []string
	// backoffLimit is the Job's.
	backoffLimit int
	// gated has the pod wait for the mutator.
	gated bool
}

func (r runner) object(apiVersion, kind string, metadata, spec map[string]any) string {
	if r.name == "" {
		metadata["generateName"] = "hand-made-"
	} else {
		metadata["name"] = r.name
	}
	text, err := yaml.Marshal(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// pod is the manifest of a bare pod.
func (r runner) pod() string {
	metadata, spec := r.template()
	return r.object("v1", "Pod", metadata, spec)
}

// job is the manifest of a Job.
func (r runner) job() string {
	metadata, spec := r.template()
	return r.object("batch/v1", "Job", map[string]any{}, map[string]any{
		"backoffLimit": r.backoffLimit, "template": map[string]any{"metadata": metadata, "spec": spec},
	})
}

func (r runner) template() (metadata, spec map[string]any) {
	labels := map[string]string{contract.InjectLabel: contract.InjectEnabled}
	maps.Copy(labels, r.labels)
	annotations := map[string]string{contract.AgentTagsAnnotation: "queue=" + r.queue, contract.JobContainersAnnotation: "mine"}
	maps.Copy(annotations, r.annotations)
	if r.jobUUID != "" {
		labels[contract.JobUUIDLabel] = r.jobUUID
	}
	container := map[string]any{"name": "mine", "image": pulled[images.Shell]}
	if len(r.command) > 0 {
		container["command"] = r.command
	}
	spec = map[string]any{"restartPolicy": "Never", "containers": []any{container}}
	if r.gated {
		spec["schedulingGates"] = []any{map[string]any{"name": contract.Gate}}
	}
	return map[string]any{"labels": labels, "annotations": annotations}, spec
}

// createJob creates a Job as a person would, and returns its name.
func createJob(t *testing.T, manifest string) string {
	t.Helper()
	output, err := create(t, jobNamespace, manifest)
	if err != nil {
		t.Fatal(err)
	}
	_, name, _ := strings.Cut(strings.TrimSpace(output), "/")
	deleteAfterwards(t, "job", name)
	return name
}

// deleteAfterwards deletes an object, and what it owns, when the test is over.
func deleteAfterwards(t *testing.T, kind, name string) {
	t.Helper()
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", kind, name, "--wait=false", "--ignore-not-found")
	})
}

// waitJob waits until Kubernetes has made up its mind about a Job.
func waitJob(t *testing.T, name string) (verdict batchv1.JobConditionType) {
	t.Helper()
	eventually(t, "Job "+name+" to end", func(ctx context.Context) (bool, error) {
		output, err := kube.Run(ctx, "-n", jobNamespace, "get", "job", name, "-o", "json")
		if err != nil {
			return false, err
		}
		var job batchv1.Job
		if err := json.Unmarshal([]byte(output), &job); err != nil {
			return false, err
		}
		for _, condition := range job.Status.Conditions {
			if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
				verdict = condition.Type
				return true, nil
			}
		}
		return false, nil
	})
	return verdict
}

// podsOf lists a Job's pods, in the order in which it made them.
func podsOf(t *testing.T, job string) []corev1.Pod {
	t.Helper()
	output := kubectl(t, "get", "pods", "-l", "batch.kubernetes.io/job-name="+job, "--sort-by=.metadata.creationTimestamp", "-o", "json")
	var list corev1.PodList
	if err := json.Unmarshal([]byte(output), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// example reads a manifest of manifests/examples, with images that the cluster
// can pull and further replacements, as a person edits it.
func example(t *testing.T, file string, replacements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "manifests", "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(string(text), replacements[i]) {
			t.Fatalf("%s has no %q to replace", file, replacements[i])
		}
	}
	return strings.NewReplacer(append(replacements, "alpine:3", pulled[images.Shell])...).Replace(string(text))
}

// tryKubectl runs kubectl in the namespace of jobs, and returns its exit status
// with what it printed on either output.
func tryKubectl(t *testing.T, input string, arguments ...string) (status int, output string) {
	t.Helper()
	command := kube.Command(t.Context(), append([]string{"-n", jobNamespace}, arguments...)...)
	command.Env = append(os.Environ(), "KUBECTL_KUBERC=false")
	command.Stdin = strings.NewReader(input)
	text, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// waiting is a build whose only job waits for an agent of a queue that no
// dispatcher watches.
func waiting(t *testing.T, queue, command string) (*build, *job) {
	t.Helper()
	b := start(t, fmt.Sprintf(`
steps:
  - label: waiting
    command: %q
    agents: {queue: %s}
`, command, queue))
	return b, b.job(t, "waiting")
}

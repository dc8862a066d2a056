package endtoend

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestRenderIsWhatAdmissionMakes compares `agent-stack-k8s render` with the API
// server's own answer, receipt included, for pods that people and the dispatcher
// write.
func TestRenderIsWhatAdmissionMakes(t *testing.T) {
	t.Parallel()
	config := mutatorConfig(t)
	for _, name := range []string{
		"dispatched-plain", "dispatched-plugin", "dispatched-two-containers", "handmade-job-uuid", "handmade-queue", "skip-checkout", "refused-everything",
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", "mutator", "testdata", name+".in.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			compareWithServer(t, config, string(text))
		})
	}
	t.Run("bare-pod", func(t *testing.T) { compareWithServer(t, config, runner{queue: "none"}.pod()) })
	t.Run("example", func(t *testing.T) { compareWithServer(t, config, example(t, "hand-made-pod.yaml")) })
}

func compareWithServer(t *testing.T, config, manifest string) {
	t.Helper()
	manifest = named(t, manifest)
	rendered, refusals := tryRender(t, config, manifest)
	if len(refusals) == 0 {
		compare(t, dryRun(t, manifest), withDefaults(t, rendered))
		return
	}
	// What the one refuses the other refuses too, with the same sentences.
	status, output := tryKubectl(t, manifest, "create", "--dry-run=server", "-f", "-")
	for _, refusal := range refusals {
		if status == 0 || !strings.Contains(output, refusal) {
			t.Errorf("render refuses the pod: %s; the API server's answer has exit status %d:\n%s", refusal, status, output)
		}
	}
}

// TestRenderOfAJobIsThePodThatItMakes compares it with the pods of a real Job
// and of a real CronJob's Job.
func TestRenderOfAJobIsThePodThatItMakes(t *testing.T) {
	t.Parallel()
	config := mutatorConfig(t)
	cronJob := example(t, "cronjob.yaml", "name: nightly-runner", "name: rendered", `"0 2 * * *"`, `"0 2 30 2 *"`, "queue=nightly", "queue=rendered")
	for name, tc := range map[string]struct {
		manifest string
		create   func(*testing.T, string) string
	}{
		"job": {runner{queue: "rendered-job", annotations: map[string]string{contract.IdleTimeoutAnnotation: "2s"}}.job(), createJob},
		"cronjob": {cronJob, func(t *testing.T, manifest string) string {
			if status, output := tryKubectl(t, manifest, "create", "-f", "-"); status != 0 {
				t.Fatal(output)
			}
			deleteAfterwards(t, "cronjob", "rendered")
			kubectl(t, "create", "job", "rendered-now", "--from=cronjob/rendered")
			deleteAfterwards(t, "job", "rendered-now")
			return "rendered-now"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			job := tc.create(t, tc.manifest)
			kubectl(t, "wait", "job/"+job, "--for=jsonpath={.status.active}=1", "--timeout=30s")
			pods := podsOf(t, job)
			made, err := json.Marshal(pods[0])
			if err != nil {
				t.Fatal(err)
			}
			compare(t, made, withDefaults(t, render(t, config, tc.manifest)))
		})
	}
}

// mutatorConfig is the configuration of the mutator that is installed, in a file.
func mutatorConfig(t *testing.T) string {
	t.Helper()
	name := kubectlIn(t, systemNamespace, "get", "deployment", "mutator", "-o", `jsonpath={.spec.template.spec.volumes[?(@.name=="config")].configMap.name}`)
	text := kubectlIn(t, systemNamespace, "get", "configmap", name, "-o", `jsonpath={.data.config\.yaml}`)
	file := filepath.Join(t.TempDir(), "mutator.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// named gives a manifest's object a name, so that both answers have the same.
func named(t *testing.T, manifest string) string {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &object); err != nil {
		t.Fatal(err)
	}
	metadata, _ := object["metadata"].(map[string]any)
	metadata["name"], metadata["namespace"] = "rendered", jobNamespace
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func render(t *testing.T, config, manifest string) []byte {
	t.Helper()
	pod, refusals := tryRender(t, config, manifest)
	if len(refusals) > 0 {
		t.Fatal(refusals)
	}
	return pod
}

// tryRender returns the pod as JSON, or why there is none.
func tryRender(t *testing.T, config, manifest string) (pod []byte, refusals []string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "agent-stack-k8s"), "render", "-f", "-", "--config", config, "-o", "json")
	command.Stdin = strings.NewReader(manifest)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	pod, err := command.Output()
	for line := range strings.Lines(complaints.String()) {
		if _, refusal, refused := strings.Cut(line, ": error: "); refused {
			refusals = append(refusals, strings.TrimSpace(refusal))
		}
	}
	if err != nil && len(refusals) == 0 {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	return pod, refusals
}

// dryRun is the API server's answer.
func dryRun(t *testing.T, manifest string, arguments ...string) []byte {
	t.Helper()
	status, output := tryKubectl(t, manifest, append(arguments, "create", "--dry-run=server", "-o", "json", "-f", "-")...)
	// Warnings come first.
	start := strings.Index(output, "\n{")
	if strings.HasPrefix(output, "{") {
		start = 0
	}
	if status != 0 || start < 0 {
		t.Fatalf("exit status %d: %s", status, output)
	}
	return []byte(output[start:])
}

// withDefaults has the API server fill in defaults, and its own plugins their
// parts, without the mutator: the pod goes there without our label.
func withDefaults(t *testing.T, pod []byte) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(pod, &object); err != nil {
		t.Fatal(err)
	}
	metadata, _ := object["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	if labels[contract.InjectLabel] != contract.InjectEnabled {
		t.Fatalf("labels %v", labels)
	}
	delete(labels, contract.InjectLabel)
	metadata["namespace"] = jobNamespace
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	// The mutator keeps fields that only a later API server knows; this one drops
	// them from its answer, and would refuse them from us.
	if err := json.Unmarshal(dryRun(t, string(text), "--validate=ignore"), &answer); err != nil {
		t.Fatal(err)
	}
	metadata, _ = answer["metadata"].(map[string]any)
	labels, _ = metadata["labels"].(map[string]any)
	if labels == nil {
		labels = map[string]any{}
	}
	labels[contract.InjectLabel] = contract.InjectEnabled
	metadata["labels"] = labels
	text, err = json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// compare compares two pods but for what every object has of its own.
func compare(t *testing.T, server, rendered []byte) {
	t.Helper()
	want, got := essence(t, server), essence(t, rendered)
	if len(got.Spec.Containers) < 3 || got.Annotations[contract.InjectedAnnotation] == "" {
		t.Fatalf("not a job runner: %s", rendered)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("render differs from the API server's pod (-server +render):\n%s", diff)
	}
}

// tokenVolume is the name that the API server gives the volume of a service
// account's token; its end is random.
var tokenVolume = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)

func essence(t *testing.T, text []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(tokenVolume.ReplaceAll(text, []byte("kube-api-access")), &pod); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for key, value := range pod.Labels {
		// The Job controller's, which name the Job's own UID.
		if !strings.Contains(key, "job-name") && !strings.Contains(key, "controller-uid") {
			labels[key] = value
		}
	}
	for _, owner := range pod.OwnerReferences {
		if owner.Controller == nil || !*owner.Controller {
			t.Errorf("owner %v", owner)
		}
	}
	pod.Labels = labels
	pod.Name, pod.GenerateName, pod.UID, pod.ResourceVersion, pod.Generation = "", "", "", "", 0
	pod.CreationTimestamp.Reset()
	pod.OwnerReferences, pod.Finalizers, pod.ManagedFields = nil, nil, nil
	pod.Spec.NodeName, pod.Status = "", corev1.PodStatus{}
	// The token's mount comes before ours or after, and means the same.
	slices.SortFunc(pod.Spec.Volumes, func(a, b corev1.Volume) int { return strings.Compare(a.Name, b.Name) })
	for _, container := range allContainers(&pod) {
		slices.SortFunc(container.VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
	}
	return &pod
}

package endtoend

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Package policy evaluates the policies against many pods; here the API server
// does, with kubectl as people use it.

// denied runs kubectl, which is to be refused with the sentence.
func denied(t *testing.T, sentence, input string, arguments ...string) {
	t.Helper()
	status, output := tryKubectl(t, input, arguments...)
	if status == 0 || !strings.Contains(output, sentence) {
		t.Errorf("kubectl %s: exit status %d, want a refusal with %q:\n%s", strings.Join(arguments, " "), status, sentence, output)
	}
}

// another is a pod of an installation that is not there, so that nobody makes it
// a job runner.
func another(gated bool) runner {
	r := runner{queue: "none", labels: map[string]string{contract.MutatorLabel: "another"}}
	r.gated = gated
	return r
}

func TestPolicyOnCreation(t *testing.T) {
	t.Parallel()
	denied(t, "the Buildkite mutator has not made it a job runner", another(false).pod(), "create", "-f", "-")

	forged := another(false)
	forged.annotations = map[string]string{contract.InjectedAnnotation: `{"version":"0","config":"sha256:0","plan":{}}`}
	denied(t, "the Buildkite mutator has not made it a job runner", forged.pod(), "create", "-f", "-")

	// Where the mutator is asked, it says so itself.
	forged.labels = nil
	denied(t, "metadata.annotations[buildkite.com/injected]", forged.pod(), "create", "-f", "-")

	plain := strings.Replace(runner{queue: "none"}.pod(), contract.InjectLabel+`: "true"`, `example.com/plain: "true"`, 1)
	denied(t, "a pod of the Buildkite dispatcher must have the label", plain, "create", "-f", "-", "--dry-run=server",
		"--as=system:serviceaccount:"+systemNamespace+":dispatcher")
	if status, output := tryKubectl(t, plain, "create", "-f", "-", "--dry-run=server"); status != 0 {
		t.Errorf("the same pod of somebody else: %s", output)
	}
}

func TestPolicyOnUpdate(t *testing.T) {
	t.Parallel()
	pod := apply(t, another(true).pod())
	if phase := podPhase(t, pod); phase != "Pending" {
		t.Fatalf("the gated pod is %s", phase)
	}
	denied(t, "is removed by the Buildkite mutator when a pod is created, and by nobody later", "",
		"patch", "pod", pod, "--type=json", "-p", `[{"op": "remove", "path": "/spec/schedulingGates"}]`)
	denied(t, "cannot be added to a pod or removed from it", "", "label", "pod", pod, contract.InjectLabel+"-")
	denied(t, "cannot be added to a pod or removed from it", "", "label", "pod", pod, contract.InjectLabel+"=false", "--overwrite")

	bystander := apply(t, strings.Replace(another(true).pod(), contract.InjectLabel+`: "true"`, `example.com/plain: "true"`, 1))
	denied(t, "cannot be added to a pod or removed from it", "", "label", "pod", bystander, contract.InjectLabel+"=true")

	// Everything else of theirs people may change, on a runner too.
	runs := apply(t, runner{queue: "policy-update"}.pod())
	kubectl(t, "annotate", "pod", runs, "example.com/note=seen")
	kubectl(t, "label", "pod", runs, "example.com/team=a")
	denied(t, "the Buildkite mutator has not made it a job runner", "", "annotate", "pod", runs, contract.InjectedAnnotation+"-")
}

// TestPolicyOnEphemeralContainers debugs a running job pod with kubectl debug.
func TestPolicyOnEphemeralContainers(t *testing.T) {
	t.Parallel()
	pod := apply(t, runner{queue: "debugged", annotations: map[string]string{contract.IdleTimeoutAnnotation: "2m"}}.pod())
	eventually(t, "the pod to run", func(ctx context.Context) (bool, error) {
		current, err := getPod(ctx, pod)
		return err == nil && current.Status.Phase == corev1.PodRunning, err
	})

	debug := func(custom corev1.Container, arguments ...string) []string {
		text, err := json.Marshal(custom)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "custom.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return append([]string{"debug", pod, "--image=" + pulled[images.Shell], "--profile=baseline", "--custom=" + file}, arguments...)
	}
	secret := corev1.LocalObjectReference{Name: "buildkite-agent-token"}
	for name, tc := range map[string]struct {
		custom corev1.Container
		target string
		want   string
	}{
		"token's volume": {corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: contract.AgentTokenVolume, MountPath: "/token"}}}, "mine", "may not mount an injected volume"},
		"agent":          {corev1.Container{}, contract.AgentContainer, "may not share the processes of the agent"},
		"token in env": {corev1.Container{Env: []corev1.EnvVar{{Name: "T", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: secret, Key: contract.TokenKey},
		}}}}, "mine", "may not read the Secret"},
		"token in envFrom": {corev1.Container{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: secret}}}}, "mine", "may not read the Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			denied(t, tc.want, "", append(debug(tc.custom, "--target="+tc.target), "--", "true")...)
		})
	}

	allowed := debug(corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: contract.WorkspaceVolume, MountPath: "/workspace"}}}, "--target=mine", "--container=looks")
	if status, output := tryKubectl(t, "", append(allowed, "--", "ls", "/workspace")...); status != 0 {
		t.Errorf("a debug container beside a job container was refused: %s", output)
	}
	eventually(t, "the debug container to have run", func(ctx context.Context) (bool, error) {
		current, err := getPod(ctx, pod)
		if err != nil {
			return false, err
		}
		for _, status := range current.Status.EphemeralContainerStatuses {
			if status.Name == "looks" && status.State.Terminated != nil {
				return status.State.Terminated.ExitCode == 0, nil
			}
		}
		return false, nil
	})
}

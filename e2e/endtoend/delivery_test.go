package endtoend

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

// manualStep is a job that waits for a hand-made pod, with an artifact.
const manualStep = `
steps:
  - label: manual
    command: echo never by itself
    agents: {queue: manual}
    artifact_paths: report.txt
`

const wholeScript = `cat README.md; echo "agent: $(command -v buildkite-agent)"; buildkite-agent --version; echo "delivered" > report.txt`

// runByHand runs the job in a pod of the installation.
func runByHand(t *testing.T, b *build, options podOptions) *corev1.Pod {
	t.Helper()
	options.job = b.job(t, "manual").uuid
	name := apply(t, handMadePod(options))
	b.passes(t)
	pod, err := getPod(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestDeliveryByInitContainer(t *testing.T) {
	t.Parallel()
	b := start(t, manualStep)
	pod := runByHand(t, b, podOptions{command: wholeScript})
	b.job(t, "manual").logs(t, "# sample", "agent: /buildkite/agent/buildkite-agent")
	b.hasArtifact(t, "report.txt", "delivered\n")
	if names := containerNames(pod.Spec.InitContainers); names != "install-entrypoint" {
		t.Errorf("init containers %q, want install-entrypoint alone", names)
	}
	if volume := volumeOf(t, pod, "buildkite-bin"); volume.EmptyDir == nil {
		t.Errorf("the volume buildkite-bin is %+v, want an emptyDir", volume.VolumeSource)
	}
}

func TestDeliveryByImageVolume(t *testing.T) {
	t.Parallel()
	installMutator(t, "volumes", map[string]any{"delivery": "image-volume"})
	const labels = "buildkite.com/mutator: volumes"
	check := func(t *testing.T, options podOptions) {
		t.Helper()
		options.labels = labels
		b := start(t, manualStep)
		pod := runByHand(t, b, options)
		b.job(t, "manual").logs(t, "# sample", "agent: /buildkite/agent/buildkite-agent")
		b.hasArtifact(t, "report.txt", "delivered\n")
		if len(pod.Spec.InitContainers) > 0 {
			t.Errorf("init containers %q, want none", containerNames(pod.Spec.InitContainers))
		}
		if volume := volumeOf(t, pod, "buildkite-bin"); volume.Image == nil || volume.Image.Reference != pulled[images.Entrypoint] {
			t.Errorf("the volume buildkite-bin is %+v, want the entrypoint's image", volume.VolumeSource)
		}
	}
	t.Run("Root", func(t *testing.T) { check(t, podOptions{command: wholeScript}) })
	t.Run("AnotherUser", func(t *testing.T) {
		check(t, podOptions{command: wholeScript, spec: "securityContext: {runAsUser: 1000, runAsGroup: 1000, runAsNonRoot: true}"})
	})
}

// The bundle of the configuration is what makes git in checkout trust a private
// server, and a program in a job container.
func TestCABundle(t *testing.T) {
	t.Parallel()
	private := servePrivateRepository(t)
	credentials := createSecret(t, "git", map[string]string{".git-credentials": private.credentials(privatePassword)})
	createConfigMap(t, "authorities", "bundle.pem", private.authority)
	installMutator(t, "authorities", map[string]any{"caBundle": map[string]any{"configMap": "authorities", "key": "bundle.pem"}})
	b := startWith(t, buildOptions{repository: private.url()}, manualStep)
	runByHand(t, b, podOptions{
		labels: "buildkite.com/mutator: authorities", image: "@GIT@",
		plugin: `{checkout: {gitCredentialsSecret: {secretName: ` + credentials + `}}}`,
		// Asked for a password is past the server's certificate.
		command: `cat README.md; GIT_TERMINAL_PROMPT=0 git ls-remote origin || echo "no password here"; echo delivered > report.txt`,
	})
	log := b.job(t, "manual").logs(t, "# private", "could not read Username", "\nno password here\n")
	if strings.Contains(log, "certificate") {
		t.Errorf("a certificate was not trusted:\n%s", log)
	}
}

func containerNames(containers []corev1.Container) string {
	names := make([]string, len(containers))
	for i, each := range containers {
		names[i] = each.Name
	}
	return strings.Join(names, ",")
}

func volumeOf(t *testing.T, pod *corev1.Pod, name string) corev1.Volume {
	t.Helper()
	for _, each := range pod.Spec.Volumes {
		if each.Name == name {
			return each
		}
	}
	t.Fatalf("the pod has no volume %s", name)
	return corev1.Volume{}
}

package mutator

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestSecondPassSecrets: what other webhooks, or whoever writes a receipt, may
// not add after the first pass, whichever version made that.
func TestSecondPassSecrets(t *testing.T) {
	late := func(edit func(*corev1.Container)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			container := corev1.Container{Name: "late", Image: "a"}
			edit(&container)
			p.Spec.Containers = append(p.Spec.Containers, container)
		}
	}
	mounting := func(volume string) func(*corev1.Pod) {
		return late(func(c *corev1.Container) { c.VolumeMounts = []corev1.VolumeMount{{Name: volume, MountPath: "/v"}} })
	}
	reading := func(secret string) func(*corev1.Pod) {
		return late(func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}
		})
	}
	cases := map[string]struct {
		tamper func(*corev1.Pod)
		want   string
	}{
		"the token's volume":      {mounting(contract.AgentTokenVolume), "volumeMounts[0].name: Forbidden: only the container agent may have this volume"},
		"the credentials' volume": {mounting(contract.GitCredentialsVolume), "volumeMounts[0].name: Forbidden: only the container checkout may have this volume"},
		"the token":               {reading("buildkite-agent-token"), "this Secret holds the agent's token"},
		"the platform's":          {reading("platform-hooks"), "this Secret is the platform's"},
		"the credentials":         {reading("platform-git"), "this Secret"},
		"another volume of a token": {func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "buildkite-agent-token"}}})
		}, "secret.secretName: Forbidden: this Secret holds the agent's token"},
		"in a job container": {func(p *corev1.Pod) {
			c := findContainer(p.Spec.Containers, "test")
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: contract.AgentTokenVolume, MountPath: "/v"})
		}, "only the container agent may have this volume"},
		"in an init container": {func(p *corev1.Pod) {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "i", VolumeMounts: []corev1.VolumeMount{{Name: contract.AgentTokenVolume, MountPath: "/v"}}})
		}, "spec.initContainers[1].volumeMounts[0].name: Forbidden"},
		"another platform Secret in checkout": {func(p *corev1.Pod) {
			c := findContainer(p.Spec.Containers, contract.CheckoutContainer)
			c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "platform-other"}}})
		}, "this Secret is the platform's"},
	}
	for name, tc := range cases {
		for _, version := range []string{"test", "other"} {
			if version == "other" && name == "another platform Secret in checkout" {
				continue // Another version's plan is not read.
			}
			t.Run(name+" "+version, func(t *testing.T) {
				config, pod := mutated(t, "policy-platforms-secrets")
				config.Version = version
				tc.tamper(pod)
				_, errs := config.Mutate(pod)
				if got := errorLines(errs); !strings.Contains(got, tc.want) {
					t.Errorf("errors do not contain %q:\n%s", tc.want, got)
				}
			})
		}
	}
}

// TestSecondPassUser: what an injected container runs as is on record.
func TestSecondPassUser(t *testing.T) {
	cases := map[string]struct {
		name   string
		tamper func(*corev1.Pod, *corev1.Container)
		want   string
	}{
		"more capabilities": {"user-differing", func(_ *corev1.Pod, c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = append(c.SecurityContext.Capabilities.Add, "SYS_ADMIN")
		}, "capabilities.add: Forbidden"},
		"another user":   {"user-of-the-containers", func(_ *corev1.Pod, c *corev1.Container) { *c.SecurityContext.RunAsUser = 0 }, "runAsUser: Forbidden"},
		"another passwd": {"user-of-the-containers", func(p *corev1.Pod, _ *corev1.Container) { p.Annotations[contract.PasswdAnnotation] = "x" }, "metadata.annotations[buildkite.com/passwd]: Forbidden"},
		"another volume": {"user-of-the-containers", func(p *corev1.Pod, _ *corev1.Container) {
			volume(p, contract.PasswdVolume).VolumeSource = emptyDir("").VolumeSource
		}, "spec.volumes["},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config, pod := mutated(t, tc.name)
			tc.tamper(pod, findContainer(pod.Spec.Containers, contract.CheckoutContainer))
			_, errs := config.Mutate(pod)
			if got := errorLines(errs); !strings.Contains(got, tc.want) {
				t.Errorf("errors do not contain %q:\n%s", tc.want, got)
			}
		})
	}
}

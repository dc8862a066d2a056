package policy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestEphemeralContainersAndCheckout: a checkout with secrets of its own is no
// place for debugging, and its Secrets are as closed as the agent's.
func TestEphemeralContainersAndCheckout(t *testing.T) {
	validator := compile(t, load(t, "policy-ephemeral.yaml"))
	secretVolume := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "private"}}}
	}
	keys := corev1.Volume{Name: contract.SSHVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	target := ephemeral(corev1.EphemeralContainerCommon{}, contract.CheckoutContainer)
	reads := ephemeral(corev1.EphemeralContainerCommon{EnvFrom: []corev1.EnvFromSource{
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "private"}}},
	}}, "")
	const inside, reading = "may not share the processes of a checkout", "may not read the Secrets"
	cases := map[string]struct {
		volumes   []corev1.Volume
		container corev1.EphemeralContainer
		want      string
	}{
		"a checkout without secrets":  {nil, target, ""},
		"one with credentials":        {[]corev1.Volume{secretVolume(contract.GitCredentialsVolume)}, target, inside},
		"one with keys":               {[]corev1.Volume{keys}, target, inside},
		"the job beside it":           {[]corev1.Volume{keys}, ephemeral(corev1.EphemeralContainerCommon{}, "job"), ""},
		"the Secret with credentials": {[]corev1.Volume{secretVolume(contract.GitCredentialsVolume)}, reads, reading},
		"the signing key":             {[]corev1.Volume{secretVolume(contract.SigningKeyVolume)}, reads, reading},
		"the verification key":        {[]corev1.Volume{secretVolume(contract.VerificationKeyVolume)}, reads, reading},
		"a Secret of the author's":    {[]corev1.Volume{secretVolume("mine")}, reads, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := injected(t, func(p *corev1.Pod) {
				p.Spec.Volumes = append(p.Spec.Volumes, tc.volumes...)
				p.Spec.EphemeralContainers = []corev1.EphemeralContainer{tc.container}
			})
			checkDenial(t, denial(t, validator, request{operation: admission.Update, pod: pod, old: injected(t), subresource: "ephemeralcontainers"}), tc.want)
		})
	}
}

// TestDeliveries: the policy takes what the mutator makes, however the
// entrypoint gets there.
func TestDeliveries(t *testing.T) {
	validator := compile(t, load(t, "policy-injected.yaml"))
	for _, delivery := range []string{"init-container", "image-volume"} {
		t.Run(delivery, func(t *testing.T) {
			pod := labelled(false)
			config, errs := mutator.ParseConfig([]byte("{apiVersion: buildkite.com/v1alpha1, kind: MutatorConfiguration, agentImage: a, entrypointImage: b, delivery: " + delivery + "}"))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if _, errs := config.Mutate(pod); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if got := len(pod.Spec.InitContainers) == 0; got != (delivery == "image-volume") {
				t.Errorf("without init containers = %v", got)
			}
			checkDenial(t, denial(t, validator, request{operation: admission.Create, pod: pod}), "")
		})
	}
}

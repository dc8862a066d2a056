package mutator

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestVectors has what the author of a pipeline may try, in the order of the
// table in docs/security.md, and says what happens. Whatever is not refused here
// is in the table's column of what remains.
func TestVectors(t *testing.T) {
	for _, vector := range []struct {
		name string
		// refusals are texts of policyPod's three parts, with what a refusal begins.
		refusals []refusal
		// config is the platform's, beyond the defaults.
		config string
		// holds looks at a pod that is accepted.
		holds func(*testing.T)
	}{
		{name: "root on the node: refused", refusals: []refusal{
			{spec: "volumes: [{name: v, hostPath: {path: /}}]", want: "spec.volumes[0].hostPath.path: Forbidden"},
			{spec: "hostPID: true", want: "spec.hostPID: Forbidden"},
			{spec: "hostNetwork: true", want: "spec.hostNetwork: Forbidden"},
			{spec: "hostIPC: true", want: "spec.hostIPC: Forbidden"},
			{container: "securityContext: {privileged: true}", want: "spec.containers[0].securityContext.privileged: Forbidden"},
			{container: "securityContext: {procMount: Unmasked}", want: "spec.containers[0].securityContext.procMount: Forbidden"},
			{container: "securityContext: {capabilities: {add: [SYS_ADMIN]}}", want: "spec.containers[0].securityContext.capabilities.add[0]: Forbidden"},
			{spec: "initContainers: [{name: i, image: a, securityContext: {privileged: true}}]", want: "spec.initContainers[0].securityContext.privileged: Forbidden"},
			{annotations: "buildkite.com/plugin: '{sidecars: [{image: a, securityContext: {privileged: true}}]}'", want: "metadata.annotations[buildkite.com/plugin].sidecars[0].securityContext.privileged: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {hostPID: true}}'", want: "spec.hostPID: Forbidden"},
			{annotations: "buildkite.com/plugin: '{checkout: {gitMirrors: {volume: {hostPath: {path: /}}}}}'", want: "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.hostPath.path: Forbidden"},
		}},
		{name: "the agent's token as a Secret: refused", refusals: []refusal{
			{container: "envFrom: [{secretRef: {name: buildkite-agent-token}}]", want: "spec.containers[0].envFrom[0].secretRef.name: Forbidden"},
			{spec: "volumes: [{name: v, secret: {secretName: buildkite-agent-token}}]", want: "spec.volumes[0].secret.secretName: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: build, env: [{name: A, valueFrom: {secretKeyRef: {name: buildkite-agent-token, key: k}}}]}]}}'",
				want: "spec.containers[0].env[0].valueFrom.secretKeyRef.name: Forbidden"},
			{annotations: "buildkite.com/plugin: '{checkout: {gitCredentialsSecret: buildkite-agent-token}}'", want: "metadata.annotations[buildkite.com/plugin].checkout.gitCredentialsSecret.secretName: Forbidden"},
			{annotations: "buildkite.com/plugin: '{extraVolumeMounts: [{name: buildkite-agent-token, mountPath: /t}]}'", want: "metadata.annotations[buildkite.com/plugin].extraVolumeMounts[0].name: Invalid"},
			{annotations: "buildkite.com/agent-token-secret: production", want: "metadata.annotations[buildkite.com/agent-token-secret]: Forbidden"},
		}},
		{name: "other Secrets of the namespace: refused where the platform lists those allowed", config: "policy: {secrets: {allow: [ci-*]}}\n", refusals: []refusal{
			{container: "envFrom: [{secretRef: {name: production}}]", want: "spec.containers[0].envFrom[0].secretRef.name: Forbidden"},
		}},
		{name: "the agent's processes: refused, and nothing secret in their environment", refusals: []refusal{
			{spec: "shareProcessNamespace: true", want: "spec.shareProcessNamespace: Forbidden"},
			{container: "securityContext: {capabilities: {add: [SYS_PTRACE]}}", want: "spec.containers[0].securityContext.capabilities.add[0]: Forbidden"},
		}, holds: tokenIsTheAgents},
		{name: "a service account: refused", refusals: []refusal{
			{spec: "serviceAccountName: cluster-admin", want: "spec.serviceAccountName: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {serviceAccountName: cluster-admin}}'", want: "spec.serviceAccountName: Forbidden"},
		}},
		{name: "other people's nodes: refused by default for the control plane, else where listed", refusals: []refusal{
			{spec: "nodeName: control-plane", want: "spec.nodeName: Forbidden"},
			{spec: "tolerations: [{key: node-role.kubernetes.io/control-plane}]", want: "spec.tolerations[0].key: Forbidden"},
			{spec: "tolerations: [{operator: Exists}]", want: "spec.tolerations[0]: Forbidden"},
			{spec: "priorityClassName: system-cluster-critical", want: "spec.priorityClassName: Forbidden"},
			{spec: "priorityClassName: production", want: "spec.priorityClassName: Forbidden"},
			{spec: "schedulerName: mine", want: "spec.schedulerName: Forbidden"},
			{spec: "runtimeClassName: runc-privileged", want: "spec.runtimeClassName: Forbidden"},
			{spec: "nodeSelector: {team: payments}", want: "spec.nodeSelector[team]: Forbidden"},
		}, config: "policy: {priorityClasses: {allow: []}, schedulerNames: {allow: []}, runtimeClasses: {allow: [gvisor]}, nodeSelector: {allow: [kubernetes.io/arch]}}\n"},
		{name: "metadata that others act on: refused where the platform lists it", config: "policy: {annotations: {allow: [example.com/*]}}\n", refusals: []refusal{
			{annotations: "iam.amazonaws.com/role: admin", want: "metadata.annotations[iam.amazonaws.com/role]: Forbidden"},
			{annotations: "sidecar.istio.io/inject: 'false'", want: "metadata.annotations[sidecar.istio.io/inject]: Forbidden"},
		}},
		{name: "the environment of agent and checkout: refused", refusals: []refusal{
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: agent, env: [{name: BUILDKITE_AGENT_ENDPOINT, value: evil}]}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[0].env: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: checkout, env: [{name: LD_PRELOAD, value: evil}]}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[0].env: Forbidden"},
		}, holds: jobEnvironmentIsItsOwn},
		{name: "reserved names, and hooks of injected containers: refused", refusals: []refusal{
			{container: "name: agent", annotations: "buildkite.com/job-containers: agent", want: "spec.containers[0].name: Invalid value: \"agent\": reserved"},
			{spec: "initContainers: [{name: install-entrypoint, image: a}]", want: "spec.initContainers[0].name: Invalid"},
			{spec: "volumes: [{name: buildkite-bin, emptyDir: {}}]", want: "spec.volumes[0].name: Invalid"},
			{annotations: "buildkite.com/plugin: '{sidecars: [{name: checkout, image: a}]}'", want: "metadata.annotations[buildkite.com/plugin].sidecars[0].name: Invalid"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: agent, lifecycle: {postStart: {exec: {command: [evil]}}}}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[0].lifecycle: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: checkout, livenessProbe: {exec: {command: [evil]}}}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[0].livenessProbe: Forbidden"},
		}},
		{name: "programs and credentials on shared volumes: read-only, or mounted in one container", holds: programsAreReadOnly},
		{name: "the agent's socket: only wrapped containers have it", holds: socketIsOfWrapped},
		{name: "another pipeline's cache or mirror: refused where the platform lists claims", config: "policy: {persistentVolumeClaims: {allow: [payments-*]}}\n", refusals: []refusal{
			{spec: "volumes: [{name: v, persistentVolumeClaim: {claimName: search-cache}}]", want: "spec.volumes[0].persistentVolumeClaim.claimName: Forbidden"},
			{annotations: "buildkite.com/plugin: '{checkout: {gitMirrors: {volume: {persistentVolumeClaim: {claimName: search-mirrors}}}}}'", want: "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.persistentVolumeClaim.claimName: Forbidden"},
		}},
		{name: "pods that cannot be deleted or never end: refused", config: "policy: {maxActiveDeadlineSeconds: 60, maxTerminationGracePeriodSeconds: 60, schedulingGates: {allow: []}}\n", refusals: []refusal{
			{spec: "activeDeadlineSeconds: 1000000", want: "spec.activeDeadlineSeconds: Forbidden"},
			{annotations: "buildkite.com/plugin: '{jobActiveDeadlineSeconds: 1000000}'", want: "metadata.annotations[buildkite.com/plugin].jobActiveDeadlineSeconds: Forbidden"},
			{spec: "terminationGracePeriodSeconds: 1000000", want: "spec.terminationGracePeriodSeconds: Forbidden"},
			{spec: "schedulingGates: [{name: forever}]", want: "spec.schedulingGates[0].name: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {schedulingGates: [{name: forever}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.schedulingGates: Forbidden"},
		}, holds: finalizersAreRefused},
		{name: "tricks of encoding: refused", refusals: []refusal{
			{annotations: "buildkite.com/plugin: '{checkout: {skip: false}, checkout: {skip: true}}'", want: "metadata.annotations[buildkite.com/plugin]: Invalid"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {HostPID: true}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.HostPID: Forbidden: unknown field"},
			{annotations: "buildkite.com/plugin: '{Sidecars: [{image: a, securityContext: {privileged: true}}]}'", want: "metadata.annotations[buildkite.com/plugin].Sidecars: Forbidden: unknown field"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {$patch: replace, hostPID: true}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.$patch: Forbidden"},
			{annotations: "buildkite.com/plugin: '{podSpecPatch: {containers: [{name: agent, $patch: delete}]}}'", want: "metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[0].$patch: Forbidden"},
			{annotations: "buildkite.com/plugin: '" + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "'", want: "metadata.annotations[buildkite.com/plugin]: Invalid value: nested more than"},
			{container: "securityContext: {capabilities: {add: [cap_sys_admin]}}", want: "spec.containers[0].securityContext.capabilities.add[0]: Forbidden"},
		}},
		{name: "images: refused where the platform lists registries", config: "policy: {images: {allow: [registry.example.com/*]}}\n", refusals: []refusal{
			{container: "image: evil/miner", want: "spec.containers[0].image: Forbidden"},
			{container: "image: registry.example.com.evil.org/miner", want: "spec.containers[0].image: Forbidden"},
			{container: "image: registry.example.com/a", annotations: "buildkite.com/image: evil/miner", want: "spec.containers[0].image: Forbidden"},
			{container: "image: registry.example.com/a", spec: "volumes: [{name: v, image: {reference: evil/miner}}]", want: "spec.volumes[0].image.reference: Forbidden"},
			{container: "image: registry.example.com/a", annotations: "buildkite.com/agent-image: evil/agent", want: "metadata.annotations[buildkite.com/agent-image]: Forbidden"},
		}},
		{name: "values in refusals: none", holds: refusalsHoldNoValues},
	} {
		t.Run(vector.name, func(t *testing.T) {
			for _, tc := range vector.refusals {
				_, errs := policyConfig(t, vector.config).Mutate(policyPod(t, tc.spec, tc.container, tc.annotations))
				if got := errorLines(errs); !strings.HasPrefix(got, tc.want) {
					t.Errorf("%s%s%.200s: errors:\n%.400s\nwant:\n%s", tc.spec, tc.container, tc.annotations, got, tc.want)
				}
			}
			if vector.holds != nil {
				vector.holds(t)
			}
			if vector.holds == nil && len(vector.refusals) == 0 {
				t.Error("nothing is tested")
			}
		})
	}
}

type refusal struct{ spec, container, annotations, want string }

// everyKind is a pod with every kind of container, injected.
func everyKind(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := policyPod(t, "initContainers: [{name: prepare, image: a}]", "", `buildkite.com/plugin: |
  sidecars: [{name: redis, image: redis}]
  checkout: {gitCredentialsSecret: git-credentials, envFrom: [{secretRef: {name: keys}}]}`)
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "beside", Image: "a"})
	if _, errs := policyConfig(t, "").Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return pod
}

// mountsOf returns the mounts of a volume, by container.
func mountsOf(pod *corev1.Pod, volume string) map[string]corev1.VolumeMount {
	found := map[string]corev1.VolumeMount{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range list {
			for _, mount := range container.VolumeMounts {
				if mount.Name == volume {
					found[container.Name] = mount
				}
			}
		}
	}
	return found
}

func wantMounts(t *testing.T, pod *corev1.Pod, volume string, containers ...string) map[string]corev1.VolumeMount {
	t.Helper()
	found := mountsOf(pod, volume)
	for _, container := range containers {
		if _, exists := found[container]; !exists {
			t.Errorf("%s does not mount %s", container, volume)
		}
	}
	if len(found) != len(containers) {
		t.Errorf("%s is mounted in %v, want %v", volume, found, containers)
	}
	return found
}

func tokenIsTheAgents(t *testing.T) {
	pod := everyKind(t)
	wantMounts(t, pod, contract.AgentTokenVolume, contract.AgentContainer)
	for _, variable := range findContainer(pod.Spec.Containers, contract.AgentContainer).Env {
		if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
			t.Errorf("the agent has the secret variable %s, which it sends to every container", variable.Name)
		}
	}
	if token := lastValue(findContainer(pod.Spec.Containers, contract.AgentContainer).Env, "BUILDKITE_AGENT_TOKEN"); !strings.HasPrefix(token, "file://") {
		t.Errorf("BUILDKITE_AGENT_TOKEN=%s", token)
	}
	// The reply names the Secret, and has nothing of what is in it.
	if volume := volume(pod, contract.AgentTokenVolume); volume.Secret == nil || volume.Secret.SecretName != "buildkite-agent-token" {
		t.Errorf("token volume %+v", volume)
	}
}

func jobEnvironmentIsItsOwn(t *testing.T) {
	plain, hostile := policyPod(t, "", "", ""), policyPod(t, "",
		"env: [{name: BUILDKITE_AGENT_ENDPOINT, value: evil}, {name: PATH, value: evil}, {name: LD_PRELOAD, value: evil}, {name: GIT_SSH_COMMAND, value: evil}]", "")
	for _, pod := range []*corev1.Pod{plain, hostile} {
		if _, errs := policyConfig(t, "").Mutate(pod); len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
	}
	for _, name := range []string{contract.AgentContainer, contract.CheckoutContainer} {
		want, got := findContainer(plain.Spec.Containers, name), findContainer(hostile.Spec.Containers, name)
		if want.String() != got.String() {
			t.Errorf("%s is not what it would be without the job's variables:\n%s\n%s", name, want, got)
		}
	}
}

func programsAreReadOnly(t *testing.T) {
	pod := everyKind(t)
	wrapped := []string{"build", contract.CheckoutContainer, contract.AgentContainer}
	for container, mount := range wantMounts(t, pod, contract.BinVolume, append(wrapped, contract.InstallContainer)...) {
		if mount.ReadOnly == (container == contract.InstallContainer) {
			t.Errorf("%s mounts the entrypoint with readOnly=%v", container, mount.ReadOnly)
		}
	}
	for container, mount := range wantMounts(t, pod, contract.AgentBinaryVolume, wrapped...) {
		if mount.ReadOnly == (container == contract.AgentContainer) {
			t.Errorf("%s mounts the agent's binary with readOnly=%v", container, mount.ReadOnly)
		}
	}
	wantMounts(t, pod, contract.GitCredentialsVolume, contract.CheckoutContainer)
	wantMounts(t, pod, contract.SSHVolume, contract.CheckoutContainer)
}

func socketIsOfWrapped(t *testing.T) {
	wantMounts(t, everyKind(t), contract.RunVolume, "build", contract.CheckoutContainer, contract.AgentContainer)
}

func finalizersAreRefused(t *testing.T) {
	pod := policyPod(t, "", "", "")
	pod.Finalizers = []string{"example.com/forever"}
	// An owner is not ours to refuse: Kubernetes checks who may name one, and
	// collects a pod whose owner does not exist. The dispatcher takes none from
	// authors.
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "u"}}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, errs := policyConfig(t, "").Mutate(pod)
	if got := errorLines(errs); !strings.HasPrefix(got, "metadata.finalizers[0]: Forbidden") || len(errs) > 1 {
		t.Errorf("errors:\n%s", got)
	}
}

func refusalsHoldNoValues(t *testing.T) {
	const value = "hunter2"
	pod := policyPod(t, "hostPID: true", "env: [{name: PASSWORD, value: "+value+"}, {name: BUILDKITE_COMMAND, value: "+value+"}, {name: HUGE, value: "+value+strings.Repeat("x", maxStringBytes)+"}]",
		"buildkite.com/plugin: '{sidecars: [{image: 3, env: [{name: A, value: "+value+"}]}], gitEnvFrom: "+value+"}'")
	_, errs := policyConfig(t, "").Mutate(pod)
	if got := errorLines(errs); len(errs) < 4 || strings.Contains(got, value) {
		t.Errorf("%d errors:\n%s", len(errs), got)
	}
}

package mutator

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestGracePeriods: the command's time is never longer than the job's, which
// the agent would refuse, whatever the pod and the configuration say.
func TestGracePeriods(t *testing.T) {
	cases := map[string]struct {
		pod          int64
		cancel, kill *int64
		want         [2]int64
	}{
		"the pod's":                      {30, nil, nil, [2]int64{30, 20}},
		"a short pod":                    {5, nil, nil, [2]int64{5, 0}},
		"a pod without any":              {0, nil, nil, [2]int64{1, 0}},
		"the job's is configured":        {30, ptr.To[int64](60), nil, [2]int64{60, 50}},
		"the command's is configured":    {30, nil, ptr.To[int64](5), [2]int64{30, 5}},
		"the command's exceeds the pod":  {30, nil, ptr.To[int64](60), [2]int64{30, 30}},
		"both":                           {30, ptr.To[int64](9), ptr.To[int64](9), [2]int64{9, 9}},
		"the job's is shorter than ten":  {30, ptr.To[int64](4), nil, [2]int64{4, 0}},
		"none for the command is a wish": {30, nil, ptr.To[int64](0), [2]int64{30, 0}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := Plan{GraceSeconds: tc.pod, CancelGraceSeconds: tc.cancel, SignalGraceSeconds: tc.kill}
			cancel, signal := plan.gracePeriods()
			if got := [2]int64{cancel, signal}; got != tc.want {
				t.Errorf("grace periods = %v, want %v", got, tc.want)
			}
		})
	}
}

// hostilePlugin is of an author who sets variables wherever the plugin takes
// some.
const hostilePlugin = `
gitEnvFrom: [{secretRef: {name: theirs}}]
checkout: {envFrom: [{configMapRef: {name: theirs}}], cloneFlags: "-v $(BUILDKITE_AGENT_TOKEN)"}
commandParams: {envFrom: [{configMapRef: {name: theirs}}]}
sidecarParams: {envFrom: [{configMapRef: {name: theirs}}]}
sidecars: [{image: a, env: [{name: BUILDKITE_AGENT_ENDPOINT, value: "http://theirs"}]}]
`

// TestAuthorsVariables: of an author's variables none reaches the agent. Those
// that reach checkout come from sources, over which ours win: of one name
// Kubernetes takes env, not envFrom.
func TestAuthorsVariables(t *testing.T) {
	pod := jobPod(func(pod *corev1.Pod, container *corev1.Container) {
		pod.Annotations[contract.PluginAnnotation] = hostilePlugin
		container.Env = []corev1.EnvVar{
			env("BUILDKITE_AGENT_ENDPOINT", "http://theirs"), env("PATH", "/theirs"), env("LD_PRELOAD", "/theirs"), env("GIT_SSH_COMMAND", "/theirs"),
		}
	})
	bare := jobPod(func(*corev1.Pod, *corev1.Container) {})
	config := goldenConfig(t, "testdata/proxy-and-ca")
	for _, one := range []*corev1.Pod{pod, bare} {
		if _, errs := config.Mutate(one); len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
	}

	agent, want := findContainer(pod.Spec.Containers, contract.AgentContainer), findContainer(bare.Spec.Containers, contract.AgentContainer)
	expected := append(slices.Clone(want.Env), env("BUILDKITE_GIT_CLONE_FLAGS", "-v $$(BUILDKITE_AGENT_TOKEN)"))
	if diff := cmp.Diff(expected, agent.Env); diff != "" {
		t.Errorf("the agent's variables (-want +got):\n%s", diff)
	}
	if len(agent.EnvFrom) > 0 {
		t.Errorf("the agent takes variables from %v", agent.EnvFrom)
	}

	checkout, want := findContainer(pod.Spec.Containers, contract.CheckoutContainer), findContainer(bare.Spec.Containers, contract.CheckoutContainer)
	if diff := cmp.Diff(want.Env, checkout.Env); diff != "" {
		t.Errorf("the variables of checkout that are set by name (-want +got):\n%s", diff)
	}
	for _, name := range []string{"HOME", containerIDVariable, phasesVariable, contextVariable, socketsVariable, "HTTPS_PROXY", "SSL_CERT_FILE", "GIT_SSL_CAINFO"} {
		if !setsVariable(checkout.Env, name) {
			t.Errorf("checkout takes %s from whoever sets it", name)
		}
	}
}

// TestPlatformVolumes: nobody but the containers that need it has a key, and
// nobody but the agent what it verifies with.
func TestPlatformVolumes(t *testing.T) {
	pod := decodePod(t, readFile(t, "testdata/agent-directories.in.yaml"))
	pod.Annotations[contract.PluginAnnotation] = "{sidecars: [{image: a}], checkout: {gitCredentialsSecret: a, envFrom: [{secretRef: {name: b}}]}}"
	pod.Spec.InitContainers = []corev1.Container{{Name: "theirs", Image: "a"}}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "other", Image: "a"})
	if _, errs := goldenConfig(t, "testdata/agent-directories").Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	got := map[string][]string{}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, mount := range container.VolumeMounts {
			if strings.HasPrefix(mount.Name, contract.VolumePrefix) {
				name := container.Name
				if mount.ReadOnly {
					name += " (read-only)"
				}
				got[mount.Name] = append(got[mount.Name], name)
			}
		}
	}
	want := map[string][]string{
		contract.BinVolume:             {"install-entrypoint", "build (read-only)", "test (read-only)", "agent (read-only)", "checkout (read-only)"},
		contract.AgentBinaryVolume:     {"build (read-only)", "test (read-only)", "agent", "checkout (read-only)"},
		contract.RunVolume:             {"build", "test", "agent", "checkout"},
		contract.AgentTokenVolume:      {"agent (read-only)"},
		contract.VerificationKeyVolume: {"agent (read-only)"},
		contract.SigningKeyVolume:      {"build (read-only)", "test (read-only)", "agent (read-only)"},
		contract.AgentHooksVolume:      {"build (read-only)", "test (read-only)", "agent (read-only)", "checkout (read-only)"},
		"buildkite-hooks-0":            {"build (read-only)", "test (read-only)", "agent (read-only)", "checkout (read-only)"},
		"buildkite-hooks-2":            {"build (read-only)", "test (read-only)", "agent (read-only)", "checkout (read-only)"},
		contract.AgentPluginsVolume:    {"build", "test", "agent", "checkout"},
		contract.GitCredentialsVolume:  {"checkout (read-only)"},
		contract.SSHVolume:             {"checkout"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who mounts what (-want +got):\n%s", diff)
	}
}

// TestSameSource tells what the API server adds to a source from what somebody
// changed in it.
func TestSameSource(t *testing.T) {
	secret := func(name string, mode *int32, items ...corev1.KeyToPath) corev1.VolumeSource {
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, DefaultMode: mode, Items: items}}
	}
	image := func(reference string, policy corev1.PullPolicy) corev1.VolumeSource {
		return corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: reference, PullPolicy: policy}}
	}
	memory := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}
	disk := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	one, two := corev1.KeyToPath{Key: "a", Path: "a"}, corev1.KeyToPath{Key: "b", Path: "b"}
	cases := map[string]struct {
		existing, prescribed corev1.VolumeSource
		want                 bool
	}{
		"a default mode":   {secret("a", ptr.To[int32](420)), secret("a", nil), true},
		"another mode":     {secret("a", ptr.To[int32](420)), secret("a", ptr.To[int32](292)), false},
		"another Secret":   {secret("b", nil), secret("a", nil), false},
		"one more item":    {secret("a", nil, one, two), secret("a", nil, one), false},
		"other items":      {secret("a", nil, two), secret("a", nil, one), false},
		"a default policy": {image("a", corev1.PullIfNotPresent), image("a", ""), true},
		"another image":    {image("b", ""), image("a", ""), false},
		"another kind":     {disk, image("a", ""), false},
		"disk for memory":  {disk, memory, false},
		"a size limit on top": {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("1Gi"))}},
			disk, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := sameSource(tc.existing, tc.prescribed); got != tc.want {
				t.Errorf("sameSource = %v, want %v", got, tc.want)
			}
		})
	}
}

package mutator

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// jobPod is a hand-made pod with one job container, changed by an edit.
func jobPod(edit func(*corev1.Pod, *corev1.Container)) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "job", Image: "image", Command: []string{"true"}}},
	}}
	pod.Labels = map[string]string{contract.InjectLabel: contract.InjectEnabled}
	pod.Annotations = map[string]string{contract.JobContainersAnnotation: "job"}
	edit(pod, &pod.Spec.Containers[0])
	return pod
}

// TestSizes stands on both sides of what Linux can start.
func TestSizes(t *testing.T) {
	const limit = 128 << 10
	const variable = len(commandVariable) + len("=") + 1
	// Each gives the container a command of a size.
	vector := func(size int) func(*corev1.Pod, *corev1.Container) {
		return func(_ *corev1.Pod, c *corev1.Container) { c.Command = []string{"echo", strings.Repeat("a", size)} }
	}
	quotes := func(_ *corev1.Pod, c *corev1.Container) { c.Command = []string{strings.Repeat("'", limit/4)} }
	script := func(size int) func(*corev1.Pod, *corev1.Container) {
		return func(p *corev1.Pod, c *corev1.Container) {
			p.Annotations[contract.PluginAnnotation] = "commandParams: {interposer: buildkite}"
			c.Command, c.Args = []string{"echo", strings.Repeat("'", size)}, []string{"it's"}
		}
	}
	const aroundScript = len("echo\n") + len(` 'it'\''s'`)
	words := func(count int) func(*corev1.Pod, *corev1.Container) {
		return func(p *corev1.Pod, c *corev1.Container) {
			p.Annotations[contract.PluginAnnotation] = "commandParams: {interposer: legacy}"
			c.Command, c.Args = nil, slices.Repeat([]string{"'"}, count)
		}
	}
	value := limit - len("V=") - 1
	cases := map[string]struct {
		edit func(*corev1.Pod, *corev1.Container)
		want string
	}{
		"longest vector":    {vector(limit - variable - len(`'echo' ''`)), ""},
		"vector too long":   {vector(limit - variable - len(`'echo' ''`) + 1), "spec.containers[0].command: Invalid value: 131073 bytes"},
		"argument too long": {vector(limit), "spec.containers[0].command[1]: Invalid value: 131073 bytes"},
		"many quotes":       {quotes, "spec.containers[0].command: Invalid value: 131093 bytes"},
		"longest script":    {script(limit - variable - aroundScript), ""},
		"script too long":   {script(limit - variable - aroundScript + 1), "spec.containers[0].command: Invalid value: 131073 bytes"},
		"most words":        {words((limit - variable + 1) / 2), ""},
		"too many words":    {words((limit-variable+1)/2 + 1), "spec.containers[0].args: Invalid value: 131074 bytes"},
		"longest directory": {func(_ *corev1.Pod, c *corev1.Container) { c.WorkingDir = "/" + strings.Repeat("a", 4094) }, ""},
		"directory too long": {func(_ *corev1.Pod, c *corev1.Container) { c.WorkingDir = "/" + strings.Repeat("a", 4095) },
			"spec.containers[0].workingDir: Invalid value: 4097 bytes; a path has less than 4096"},
		"longest value": {func(_ *corev1.Pod, c *corev1.Container) {
			c.Env = []corev1.EnvVar{env("V", strings.Repeat("a", value))}
		}, ""},
		"value too long": {func(_ *corev1.Pod, c *corev1.Container) {
			c.Env = []corev1.EnvVar{env("V", strings.Repeat("a", value+1))}
		}, "spec.containers[0].env[0].value: Invalid value: 131073 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := goldenConfig(t, "").Mutate(jobPod(tc.edit))
			if got := errorLines(errs); tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
				t.Errorf("errors = %.200q, want %q", got, tc.want)
			}
		})
	}
}

// TestSecretReferences looks for the token's Secret in every kind of place.
func TestSecretReferences(t *testing.T) {
	const secret = "buildkite-agent-token"
	reference := corev1.LocalObjectReference{Name: secret}
	inVolume := func(source corev1.VolumeSource) func(*corev1.Pod, *corev1.Container) {
		return func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}}
		}
	}
	cases := map[string]struct {
		edit func(*corev1.Pod, *corev1.Container)
		want string
	}{
		"CSI":           {inVolume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d", NodePublishSecretRef: &reference}}), "spec.volumes[0].csi.nodePublishSecretRef.name"},
		"azure file":    {inVolume(corev1.VolumeSource{AzureFile: &corev1.AzureFileVolumeSource{SecretName: secret}}), "spec.volumes[0].azureFile.secretName"},
		"flex volume":   {inVolume(corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{SecretRef: &reference}}), "spec.volumes[0].flexVolume.secretRef.name"},
		"secret volume": {inVolume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}), "spec.volumes[0].secret.secretName"},
		"init container": {func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: reference}}}}}
		}, "spec.initContainers[0].envFrom[0].secretRef.name"},
		"container that is not the job's": {func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "x", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: reference}}}})
		}, "spec.containers[1].envFrom[0].secretRef.name"},
		"checkout": {func(p *corev1.Pod, _ *corev1.Container) {
			p.Annotations[contract.PluginAnnotation] = "checkout: {envFrom: [{secretRef: {name: " + secret + "}}]}"
		}, "metadata.annotations[buildkite.com/plugin].checkout.envFrom[0].secretRef.name"},
		"sidecar": {func(p *corev1.Pod, _ *corev1.Container) {
			p.Annotations[contract.PluginAnnotation] = "sidecars: [{image: a, env: [{name: T, valueFrom: {secretKeyRef: {name: " + secret + ", key: k}}}]}]"
		}, "metadata.annotations[buildkite.com/plugin].sidecars[0].env[0].valueFrom.secretKeyRef.name"},
		"another token": {func(p *corev1.Pod, c *corev1.Container) {
			p.Annotations[contract.AgentTokenSecretAnnotation] = "other"
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "other"}}}}
		}, "spec.containers[0].envFrom[0].secretRef.name"},
		"a ConfigMap of that name": {func(_ *corev1.Pod, c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: reference}}}
		}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := goldenConfig(t, "")
			config.Policy.AgentTokenSecrets.Allow = []string{"*"}
			_, errs := config.Mutate(jobPod(tc.edit))
			want := ""
			if tc.want != "" {
				want = tc.want + ": Forbidden: this Secret holds the agent's token, which jobs may not have; remove the reference\n"
			}
			if diff := cmp.Diff(want, errorLines(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUser decides what injected containers run as.
func TestUser(t *testing.T) {
	type user struct {
		User, Group *int64
		NonRoot     *bool
	}
	container := func(uid, gid *int64, nonRoot *bool) corev1.Container {
		return corev1.Container{Image: "i", Command: []string{"c"}, SecurityContext: &corev1.SecurityContext{RunAsUser: uid, RunAsGroup: gid, RunAsNonRoot: nonRoot}}
	}
	yes, one, two := new(true), ptr.To[int64](1000), ptr.To[int64](2000)
	cases := map[string]struct {
		pod        *corev1.PodSecurityContext
		containers []corev1.Container
		want       user
	}{
		"nothing is said":           {nil, []corev1.Container{{Image: "i", Command: []string{"c"}}}, user{}},
		"the containers agree":      {nil, []corev1.Container{container(one, two, nil), container(one, two, nil)}, user{User: one, Group: two}},
		"they do not":               {nil, []corev1.Container{container(one, nil, nil), container(two, nil, nil)}, user{}},
		"one leaves it to the pod":  {&corev1.PodSecurityContext{RunAsUser: two}, []corev1.Container{container(one, nil, nil), container(nil, nil, nil)}, user{}},
		"non-root pod with a user":  {&corev1.PodSecurityContext{RunAsNonRoot: yes, RunAsUser: two}, []corev1.Container{container(nil, nil, nil)}, user{NonRoot: yes}},
		"non-root pod without":      {&corev1.PodSecurityContext{RunAsNonRoot: yes}, []corev1.Container{container(nil, nil, nil)}, user{User: ptr.To[int64](65532), NonRoot: yes}},
		"every container non-root":  {nil, []corev1.Container{container(one, nil, yes), container(two, nil, yes)}, user{User: ptr.To[int64](65532), NonRoot: yes}},
		"not every one is non-root": {nil, []corev1.Container{container(one, nil, yes), container(two, nil, nil)}, user{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: tc.pod, Containers: slices.Clone(tc.containers)}}
			if _, errs := goldenConfig(t, "").Mutate(pod); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			for _, injected := range []*corev1.Container{
				findContainer(pod.Spec.Containers, contract.AgentContainer),
				findContainer(pod.Spec.Containers, contract.CheckoutContainer),
				findContainer(pod.Spec.InitContainers, contract.InstallContainer),
			} {
				got := user{injected.SecurityContext.RunAsUser, injected.SecurityContext.RunAsGroup, injected.SecurityContext.RunAsNonRoot}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", injected.Name, diff)
				}
			}
		})
	}
}

// TestUnknownPluginFields: an error or a warning, as configured.
func TestUnknownPluginFields(t *testing.T) {
	pod := jobPod(func(p *corev1.Pod, _ *corev1.Container) {
		p.Annotations[contract.PluginAnnotation] = "{checkuot: {skip: true}}"
	})
	config := goldenConfig(t, "")
	_, errs := config.Mutate(pod.DeepCopy())
	const sentence = `metadata.annotations[buildkite.com/plugin].checkuot: `
	if diff := cmp.Diff(sentence+"Forbidden: unknown field; did you mean \"checkout\"?\n", errorLines(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	config.UnknownPluginFields = UnknownWarn
	result, errs := config.Mutate(pod)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if diff := cmp.Diff([]string{sentence + `unknown field; did you mean "checkout"?`}, result.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestMutateIsDeterministic: the same input gives the same bytes, and the input
// pod of another call is not reused.
func TestMutateIsDeterministic(t *testing.T) {
	config := goldenConfig(t, "")
	input := readFile(t, "testdata/dispatched-plugin.in.yaml")
	first := decodePod(t, input)
	if _, errs := config.Mutate(first); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	want := encodePod(t, first)
	// What one pod's owner changes must not show in the next.
	findContainer(first.Spec.Containers, contract.AgentContainer).Resources.Requests[corev1.ResourceCPU] = first.Spec.InitContainers[0].Resources.Requests[corev1.ResourceMemory]
	for range 20 {
		pod := decodePod(t, input)
		if _, errs := config.Mutate(pod); len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		if diff := cmp.Diff(want, encodePod(t, pod)); diff != "" {
			t.Fatalf("output differs:\n%s", diff)
		}
	}
}

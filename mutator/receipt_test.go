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

// mutated returns a golden pod after its first pass.
func mutated(t *testing.T, name string) (Config, *corev1.Pod) {
	t.Helper()
	config := goldenConfig(t, "testdata/"+name)
	pod := decodePod(t, readFile(t, "testdata/"+name+".in.yaml"))
	if _, errs := config.Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return config, pod
}

// TestSecondPassTampered changes injected pods, each in one place that is ours.
func TestSecondPassTampered(t *testing.T) {
	container := func(pod *corev1.Pod, name string) *corev1.Container { return findContainer(pod.Spec.Containers, name) }
	cases := map[string]struct {
		tamper func(*corev1.Pod)
		// want is in the first error.
		want string
	}{
		"image of the agent":  {func(p *corev1.Pod) { container(p, "agent").Image = "evil" }, "spec.containers[1].image: Forbidden"},
		"args of the agent":   {func(p *corev1.Pod) { container(p, "agent").Args[1] = "--containers=1" }, "spec.containers[1].args[1]: Forbidden"},
		"command of a job":    {func(p *corev1.Pod) { container(p, "test").Command = []string{"sh"} }, "spec.containers[0].command[0]: Forbidden"},
		"first word of a job": {func(p *corev1.Pod) { word(container(p, "test"), 1, "rm") }, notWhatItWas},
		"word added":          {func(p *corev1.Pod) { container(p, "test").Args = append(container(p, "test").Args, "--force") }, notWhatItWas},
		"words removed":       {func(p *corev1.Pod) { container(p, "test").Args = container(p, "test").Args[:2] }, notWhatItWas},
		"all args removed":    {func(p *corev1.Pod) { container(p, "test").Args = nil }, notWhatItWas},
		"words joined": {func(p *corev1.Pod) {
			args := container(p, "test").Args
			container(p, "test").Args = slices.Replace(args, len(args)-2, len(args), strings.Join(args[len(args)-2:], " "))
		}, notWhatItWas},
		"option added": {func(p *corev1.Pod) {
			container(p, "test").Args = slices.Insert(container(p, "test").Args, 2, "--working-directory=/")
		}, notWhatItWas},
		"interposer":         {func(p *corev1.Pod) { container(p, "test").Args[2] = "--interposer=legacy" }, "spec.containers[0].args[2]: Forbidden"},
		"no end of options":  {func(p *corev1.Pod) { word(container(p, "test"), 0, "x") }, "]: Forbidden"},
		"args of a checkout": {func(p *corev1.Pod) { container(p, "checkout").Args = append(container(p, "checkout").Args, "x") }, "spec.containers[2].args: Forbidden"},
		"BUILDKITE_COMMAND": {func(p *corev1.Pod) {
			container(p, "test").Env = append(container(p, "test").Env, env(commandVariable, "rm"))
		}, "]: Forbidden: the container's command is in its args"},
		"later container ID": {func(p *corev1.Pod) {
			container(p, "test").Env = append(container(p, "test").Env, env(containerIDVariable, "7"))
		}, "].value: Forbidden"},
		"container count":             {func(p *corev1.Pod) { setEnv(container(p, "agent"), "BUILDKITE_CONTAINER_COUNT", "1") }, "spec.containers[1].env[2].value: Forbidden"},
		"mount removed":               {func(p *corev1.Pod) { container(p, "test").VolumeMounts = nil }, "spec.containers[0].volumeMounts: Forbidden"},
		"programs writable":           {func(p *corev1.Pod) { mount(container(p, "test"), contract.BinPath).ReadOnly = false }, "readOnly: Forbidden"},
		"envFrom removed":             {func(p *corev1.Pod) { container(p, "checkout").EnvFrom = nil }, "spec.containers[2].envFrom: Forbidden"},
		"security context":            {func(p *corev1.Pod) { container(p, "agent").SecurityContext.AllowPrivilegeEscalation = new(true) }, "allowPrivilegeEscalation: Forbidden"},
		"token of another Secret":     {func(p *corev1.Pod) { volume(p, contract.AgentTokenVolume).Secret.SecretName = "other" }, "secretName: Forbidden"},
		"job container removed":       {func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[1:] }, `names the container "test", which the pod does not have`},
		"agent removed":               {func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] }, "spec.containers: Forbidden"},
		"service removed":             {func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[:2] }, `names the container "sidecar-0"`},
		"service not restarted":       {func(p *corev1.Pod) { p.Spec.InitContainers[2].RestartPolicy = nil }, "spec.initContainers[2].restartPolicy: Forbidden"},
		"gate put back":               {func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: contract.Gate}} }, "spec.schedulingGates: Forbidden"},
		"restart policy":              {func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }, "spec.restartPolicy: Forbidden"},
		"job":                         {func(p *corev1.Pod) { p.Labels[contract.JobUUIDLabel] = "other" }, "the pod was made a runner for job"},
		"receipt is no JSON":          {func(p *corev1.Pod) { p.Annotations[contract.InjectedAnnotation] = "yes" }, "not a receipt"},
		"receipt is empty":            {func(p *corev1.Pod) { p.Annotations[contract.InjectedAnnotation] = "{}" }, "names no job container"},
		"receipt has unknown field":   {func(p *corev1.Pod) { edit(p, `"plan":{`, `"plan":{"extra":1,`) }, "not a receipt"},
		"receipt names another image": {func(p *corev1.Pod) { edit(p, "ghcr.io/buildkite/agent:3.138.1", "evil") }, "image: Forbidden"},
		"receipt of other version, no wrapper": {func(p *corev1.Pod) {
			edit(p, `"version":"test"`, `"version":"0"`)
			container(p, "test").Command = []string{"sh"}
		}, "spec.containers[0]: Forbidden"},
		"token in a container that came later": {func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "late", EnvFrom: []corev1.EnvFromSource{{
				SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "buildkite-agent-token"}},
			}}})
		}, "this Secret holds the agent's token"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config, pod := mutated(t, "dispatched-plugin")
			tc.tamper(pod)
			before := pod.DeepCopy()
			_, errs := config.Mutate(pod)
			if len(errs) == 0 {
				t.Fatal("the pod was accepted")
			}
			if !strings.Contains(errorLines(errs), tc.want) {
				t.Errorf("errors do not contain %q:\n%s", tc.want, errorLines(errs))
			}
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("refused pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}

const notWhatItWas = `spec.containers[0].args: Invalid value: the container's own command, behind "--", is not what it was`

// word sets an argument, counted from the end of the entrypoint's options.
func word(container *corev1.Container, place int, value string) {
	container.Args[slices.Index(container.Args, "--")+place] = value
}

// TestSecondPassNoise adds what Kubernetes and other webhooks add between two
// admissions.
func TestSecondPassNoise(t *testing.T) {
	token := corev1.VolumeMount{Name: "kube-api-access-x", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	for _, input := range glob(t, "*.out.yaml") {
		name := strings.TrimSuffix(strings.TrimPrefix(input, "testdata/"), ".out.yaml")
		t.Run(name, func(t *testing.T) {
			config, pod := mutated(t, name)
			for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
				for i := range list {
					list[i].VolumeMounts = append(list[i].VolumeMounts, token)
					list[i].Env = append([]corev1.EnvVar{env("FIRST", "1")}, append(list[i].Env, env("HTTPS_PROXY", "http://proxy"))...)
					list[i].ImagePullPolicy = corev1.PullAlways
					list[i].TerminationMessagePath = corev1.TerminationMessagePathDefault
					list[i].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: *list[i].Resources.Requests.Memory()}
					if list[i].SecurityContext == nil {
						list[i].SecurityContext = &corev1.SecurityContext{}
					}
					list[i].SecurityContext.ProcMount = ptr.To(corev1.DefaultProcMount)
				}
			}
			sidecar := corev1.Container{Name: "late-sidecar", Image: "proxy"}
			pod.Spec.InitContainers = append([]corev1.Container{{Name: "late-init", Image: "init"}}, pod.Spec.InitContainers...)
			pod.Spec.Containers = append([]corev1.Container{sidecar}, pod.Spec.Containers...)
			pod.Spec.Volumes = append([]corev1.Volume{emptyDir("late")}, pod.Spec.Volumes...)
			pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue.x-k8s.io/admission"}}
			pod.Spec.ServiceAccountName = "default"
			checkFixpoint(t, config, pod)
		})
	}
}

func setEnv(container *corev1.Container, name, value string) {
	for i := range container.Env {
		if container.Env[i].Name == name {
			container.Env[i].Value = value
		}
	}
}

func mount(container *corev1.Container, path string) *corev1.VolumeMount {
	for i := range container.VolumeMounts {
		if container.VolumeMounts[i].MountPath == path {
			return &container.VolumeMounts[i]
		}
	}
	return nil
}

func volume(pod *corev1.Pod, name string) *corev1.Volume {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Name == name {
			return &pod.Spec.Volumes[i]
		}
	}
	return nil
}

func edit(pod *corev1.Pod, old, replacement string) {
	pod.Annotations[contract.InjectedAnnotation] = strings.Replace(pod.Annotations[contract.InjectedAnnotation], old, replacement, 1)
}

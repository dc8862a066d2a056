package mutator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// noisyPods is how many noisy pods are tried in all.
const noisyPods = 2000

// TestSecondPassRandomNoise adds to every golden pod what other webhooks and
// Kubernetes itself may add between two admissions, at random places and in
// random combinations. The second pass accepts the pod and leaves it as it is,
// whichever replica answers: one with the same configuration, with another, or
// of another version.
func TestSecondPassRandomNoise(t *testing.T) {
	outputs := glob(t, "*.out.yaml")
	if len(outputs) == 0 {
		t.Fatal("no golden pods")
	}
	for _, output := range outputs {
		name := strings.TrimSuffix(strings.TrimPrefix(output, "testdata/"), ".out.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, pod := mutated(t, name)
			replicas := otherReplicas(t, config)
			for seed := range uint64(max(1, noisyPods/len(outputs))) {
				noisy := pod.DeepCopy()
				made := addNoise(rand.New(rand.NewPCG(seed, 0)), noisy)
				// As the API server hands it over.
				text := marshal(t, noisy)
				noisy = &corev1.Pod{}
				unmarshal(t, text, noisy)
				for replica, config := range replicas {
					acceptsUnchanged(t, config, noisy, fmt.Sprintf("seed %d, %s replica, noise %v", seed, replica, made))
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// otherReplicas are the mutators that may answer the second review.
func otherReplicas(t *testing.T, config Config) map[string]Config {
	t.Helper()
	next, errs := ParseConfig([]byte(`
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: next.example.com/agent:2
agentImagePullPolicy: Always
agentBinary: /next/buildkite-agent
entrypointImage: next.example.com/entrypoint:2
agentTokenSecret: next-token
agentEndpoint: https://next.example.com/v3
knownSidecars: [next]
interposer: {dispatched: legacy, handMade: buildkite}
injected:
  runAsUser: 4711
  resources:
    agent: {limits: {memory: 1Gi}}
    checkout: {limits: {memory: 1Gi}}
    install: {limits: {memory: 1Gi}}
workspaceVolume: {ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
unknownPluginFields: warn
`))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	next.Version = config.Version
	newer, newest := config, next
	newer.Version, newest.Version = "newer", "newest"
	return map[string]Config{"same": config, "other configuration": next, "newer": newer, "newer and other configuration": newest}
}

func acceptsUnchanged(t *testing.T, config Config, pod *corev1.Pod, what string) {
	t.Helper()
	again := pod.DeepCopy()
	result, errs := config.Mutate(again)
	if len(errs) > 0 {
		t.Errorf("%s: refused: %v", what, errs.ToAggregate())
	}
	if result.Changed {
		t.Errorf("%s: counts as changed", what)
	}
	if !equality.Semantic.DeepEqual(pod, again) {
		t.Errorf("%s: changed (-first +second):\n%s", what, cmp.Diff(pod, again))
	}
}

// noises are what others add. Each leaves alone what an injected container
// owns; see TestSecondPassTampered for the rest.
var noises = map[string]func(*rand.Rand, *corev1.Pod){
	"sidecar": func(r *rand.Rand, pod *corev1.Pod) {
		pod.Spec.Containers = slices.Insert(pod.Spec.Containers, r.IntN(len(pod.Spec.Containers)+1), foreignContainer(r))
	},
	"init container": func(r *rand.Rand, pod *corev1.Pod) {
		container := foreignContainer(r)
		if r.IntN(2) == 0 {
			container.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		}
		pod.Spec.InitContainers = slices.Insert(pod.Spec.InitContainers, r.IntN(len(pod.Spec.InitContainers)+1), container)
	},
	"env": func(r *rand.Rand, pod *corev1.Pod) {
		eachContainer(r, pod, func(c *corev1.Container) {
			variable := env(unique(r, "FOREIGN_"), "$(HOME) and more")
			if r.IntN(3) == 0 {
				variable = fieldEnv(variable.Name, "metadata.uid")
			}
			c.Env = slices.Insert(c.Env, r.IntN(len(c.Env)+1), variable)
		})
	},
	"envFrom": func(r *rand.Rand, pod *corev1.Pod) {
		eachContainer(r, pod, func(c *corev1.Container) {
			source := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: unique(r, "foreign-")}}}
			c.EnvFrom = slices.Insert(c.EnvFrom, r.IntN(len(c.EnvFrom)+1), source)
		})
	},
	"volume and mount": func(r *rand.Rand, pod *corev1.Pod) {
		volume := emptyDir(unique(r, "foreign-"))
		pod.Spec.Volumes = slices.Insert(pod.Spec.Volumes, r.IntN(len(pod.Spec.Volumes)+1), volume)
		eachContainer(r, pod, func(c *corev1.Container) {
			insertMount(r, c, corev1.VolumeMount{Name: volume.Name, MountPath: "/foreign/" + volume.Name, SubPath: "part"})
		})
	},
	"service account token": func(r *rand.Rand, pod *corev1.Pod) {
		pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "default", "default"
		name := unique(r, "kube-api-access-")
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}},
		}}})
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				if mount(&list[i], serviceAccountPath) == nil {
					list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: serviceAccountPath, ReadOnly: true})
				}
			}
		}
	},
	"default resources": func(r *rand.Rand, pod *corev1.Pod) {
		eachContainer(r, pod, func(c *corev1.Container) {
			setDefault(&c.Resources.Limits, corev1.ResourceMemory, "512Mi")
			setDefault(&c.Resources.Requests, corev1.ResourceMemory, "512Mi")
			setDefault(&c.Resources.Requests, corev1.ResourceEphemeralStorage, "1Gi")
		})
	},
	"API defaults": func(r *rand.Rand, pod *corev1.Pod) {
		eachContainer(r, pod, func(c *corev1.Container) {
			c.TerminationMessagePath, c.TerminationMessagePolicy = "/dev/termination-log", corev1.TerminationMessageReadFile
			c.ImagePullPolicy = corev1.PullAlways
		})
		pod.Spec.DNSPolicy, pod.Spec.SchedulerName = corev1.DNSClusterFirst, "default-scheduler"
		pod.Spec.TerminationGracePeriodSeconds = new(ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 30))
		for i := range pod.Spec.Volumes {
			if source := pod.Spec.Volumes[i].Secret; source != nil && source.DefaultMode == nil {
				source.DefaultMode = ptr.To[int32](0o644)
			}
		}
	},
	"security context": func(r *rand.Rand, pod *corev1.Pod) {
		eachContainer(r, pod, func(c *corev1.Container) {
			if c.SecurityContext == nil {
				c.SecurityContext = &corev1.SecurityContext{}
			}
			c.SecurityContext.ProcMount = ptr.To(corev1.DefaultProcMount)
			c.SecurityContext.SELinuxOptions = &corev1.SELinuxOptions{Level: "s0:c1,c2"}
		})
		if pod.Spec.SecurityContext == nil {
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		pod.Spec.SecurityContext.FSGroup = new(1000 + r.Int64N(9))
	},
	"probes of others": func(r *rand.Rand, pod *corev1.Pod) {
		sidecar := foreignContainer(r)
		sidecar.LivenessProbe = &corev1.Probe{PeriodSeconds: 5}
		sidecar.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"wait"}}}}
		pod.Spec.Containers = append([]corev1.Container{sidecar}, pod.Spec.Containers...)
	},
	"labels and annotations": func(r *rand.Rand, pod *corev1.Pod) {
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		pod.Labels["foreign.example.com/"+unique(r, "")] = "yes"
		setAnnotation(pod, "foreign.example.com/"+unique(r, ""), `{"injected":true}`)
		pod.Finalizers = append(pod.Finalizers, "foreign.example.com/finalizer")
	},
	"scheduling": func(r *rand.Rand, pod *corev1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations,
			corev1.Toleration{Key: unique(r, "node.kubernetes.io/"), Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)})
		pod.Spec.NodeSelector = map[string]string{"foreign.example.com/pool": "ci"}
		pod.Spec.Priority, pod.Spec.PreemptionPolicy = ptr.To[int32](0), ptr.To(corev1.PreemptLowerPriority)
		pod.Spec.SchedulingGates = append(pod.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: unique(r, "foreign.example.com/")})
	},
	"network": func(r *rand.Rand, pod *corev1.Pod) {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: "192.0.2.1", Hostnames: []string{unique(r, "host-")}})
		pod.Spec.DNSConfig = &corev1.PodDNSConfig{Searches: []string{"example.com"}}
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: unique(r, "registry-")})
		pod.Spec.EnableServiceLinks = new(true)
	},
	"another image for a job container": func(_ *rand.Rand, pod *corev1.Pod) {
		receipt, err := ParseReceipt(pod.Annotations[contract.InjectedAnnotation])
		if err != nil {
			panic(err)
		}
		for _, planned := range receipt.Plan.Containers {
			if planned.Image == "" {
				container := findContainer(pod.Spec.Containers, planned.Name)
				container.Image = "mirror.example.com/" + container.Image
			}
		}
	},
}

const serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// addNoise makes some of the noises and returns which.
func addNoise(r *rand.Rand, pod *corev1.Pod) []string {
	var made []string
	names := make([]string, 0, len(noises))
	for name := range noises {
		names = append(names, name)
	}
	slices.Sort(names)
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:1+r.IntN(len(names))] {
		for range 1 + r.IntN(2) {
			noises[name](r, pod)
		}
		made = append(made, name)
	}
	return made
}

// eachContainer changes all containers, or some.
func eachContainer(r *rand.Rand, pod *corev1.Pod, change func(*corev1.Container)) {
	all := r.IntN(2) == 0
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if all || r.IntN(2) == 0 {
				change(&list[i])
			}
		}
	}
}

func foreignContainer(r *rand.Rand) corev1.Container {
	name := unique(r, "foreign-")
	return corev1.Container{
		Name: name, Image: "foreign.example.com/" + name, Command: []string{"/serve"}, Args: []string{"--all"},
		Env: []corev1.EnvVar{env("BUILDKITE_CONTAINER_ID", "0"), env("HOME", "/")}, WorkingDir: "/srv",
	}
}

func insertMount(r *rand.Rand, container *corev1.Container, mount corev1.VolumeMount) {
	container.VolumeMounts = slices.Insert(container.VolumeMounts, r.IntN(len(container.VolumeMounts)+1), mount)
}

func setDefault(list *corev1.ResourceList, name corev1.ResourceName, quantity string) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	if _, set := (*list)[name]; !set {
		(*list)[name] = resource.MustParse(quantity)
	}
}

func unique(r *rand.Rand, prefix string) string {
	return prefix + fmt.Sprintf("%08x", r.Uint32())
}

// bystander is a container with fields from the future, odd numbers and an
// unusual order of keys.
const bystander = `{"zFirst":[1.50,9007199254740993],"image":"proxy:1","name":%q,"command":["/proxy"],"env":[{"value":"0","name":"BUILDKITE_CONTAINER_ID","tomorrow":{"b":1,"a":null}}],` +
	`"volumeMounts":[{"mountPath":"/srv","name":"workspace","later":true}],"resources":{"limits":{"memory":"0.5Gi"}},"lifecycle":{"postStart":{"exec":{"command":["a"]}}}}`

// bystanders are names that the mutator knows not to be a job's.
var bystanders = []string{"azwi-proxy", "secrets-store-csi"}

// TestContainersOutsideTheJobStayByteIdentical puts containers that are not the
// job's beside those of each golden pod, and looks at the bytes that come out of
// the patch.
func TestContainersOutsideTheJobStayByteIdentical(t *testing.T) {
	for _, output := range glob(t, "*.out.yaml") {
		name := strings.TrimSuffix(strings.TrimPrefix(output, "testdata/"), ".out.yaml")
		t.Run(name, func(t *testing.T) {
			config := goldenConfig(t, "testdata/"+name)
			// These are there to refuse containers, or to change all of them.
			config.Policy = Policy{AgentImages: config.Policy.AgentImages, AgentTokenSecrets: config.Policy.AgentTokenSecrets}
			config.PodSecurity, config.Namespaces = "", nil
			for _, list := range []string{"containers", "initContainers"} {
				raw := withBystanders(t, readFile(t, "testdata/"+name+".in.yaml"), list)
				before := rawElements(t, raw, list)
				after := rawElements(t, patched(t, config, raw), list)
				for _, foreign := range bystanders {
					if len(before[foreign]) == 0 || !bytes.Equal(before[foreign], after[foreign]) {
						t.Errorf("%s: %s was changed:\n%s\n%s", list, foreign, before[foreign], after[foreign])
					}
				}
			}
		})
	}
}

// withBystanders returns a pod's JSON with two more containers at the ends of a
// list, or at its end where the other containers get their names by their index.
func withBystanders(t *testing.T, text, list string) []byte {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var pod, spec map[string]json.RawMessage
	var containers []json.RawMessage
	unmarshal(t, raw, &pod)
	unmarshal(t, pod["spec"], &spec)
	if spec[list] != nil {
		unmarshal(t, spec[list], &containers)
	}
	first := 0
	for _, container := range containers {
		if nameOf(t, container) == "" {
			first = len(containers)
		}
	}
	containers = slices.Insert(containers, first, json.RawMessage(fmt.Sprintf(bystander, bystanders[0])))
	spec[list] = marshal(t, append(containers, json.RawMessage(fmt.Sprintf(bystander, bystanders[1]))))
	pod["spec"] = marshal(t, spec)
	return marshal(t, pod)
}

// patched is a pod's JSON after admission.
func patched(t *testing.T, config Config, raw []byte) []byte {
	t.Helper()
	var pod corev1.Pod
	unmarshal(t, raw, &pod)
	before := pod
	result, errs := config.Mutate(&pod)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	options := patch.Options{Before: &before, Originals: result.Originals}
	operations, err := options.Create(raw, &pod)
	if err != nil {
		t.Fatal(err)
	}
	after, err := patch.Apply(raw, operations)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// rawElements are a list's containers as they are written, by name.
func rawElements(t *testing.T, raw []byte, list string) map[string]json.RawMessage {
	t.Helper()
	var pod struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	unmarshal(t, raw, &pod)
	var containers []json.RawMessage
	unmarshal(t, pod.Spec[list], &containers)
	elements := map[string]json.RawMessage{}
	for _, container := range containers {
		elements[nameOf(t, container)] = container
	}
	return elements
}

func nameOf(t *testing.T, element json.RawMessage) string {
	t.Helper()
	var named struct {
		Name string `json:"name"`
	}
	unmarshal(t, element, &named)
	return named.Name
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

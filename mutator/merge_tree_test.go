package mutator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// parseTree reads YAML as a patch is read.
func parseTree(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	parsed, errs := parseSpecPatch(raw, field.NewPath("patch"), platformRules)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return parsed.pod
}

func TestMergeInto(t *testing.T) {
	for name, tc := range map[string]struct{ spec, patch, want, errs string }{
		"lists by name keep their order, and what is new comes last": {
			spec:  "containers: [{name: a}, {name: b}, {name: c}]",
			patch: "containers: [{name: d, image: d}, {name: c, image: c}, {name: a, image: a}]",
			want:  "containers: [{name: a, image: a}, {name: b}, {name: c, image: c}, {name: d, image: d}]",
		},
		"variables by name": {
			spec:  "containers: [{name: a, env: [{name: X, value: '1'}, {name: Y, value: '$(X)'}]}]",
			patch: "containers: [{name: a, env: [{name: Z, value: '$(Y)'}, {name: X, value: '2'}]}]",
			want:  "containers: [{name: a, env: [{name: X, value: '2'}, {name: Y, value: '$(X)'}, {name: Z, value: '$(Y)'}]}]",
		},
		"mounts by path": {
			spec:  "containers: [{name: a, volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /w}]}]",
			patch: "containers: [{name: a, volumeMounts: [{name: other, mountPath: /w, readOnly: true}, {name: v, mountPath: /x}]}]",
			want:  "containers: [{name: a, volumeMounts: [{name: v, mountPath: /v}, {name: other, mountPath: /w, readOnly: true}, {name: v, mountPath: /x}]}]",
		},
		"ports by number": {
			spec:  "containers: [{name: a, ports: [{containerPort: 80, name: web}]}]",
			patch: "containers: [{name: a, ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 443}]}]",
			want:  "containers: [{name: a, ports: [{containerPort: 80, name: web, hostPort: 8080}, {containerPort: 443}]}]",
		},
		"tolerations, commands and envFrom as a whole": {
			spec:  "{tolerations: [{key: a}, {key: b}], containers: [{name: a, args: [a, b], envFrom: [{prefix: a}]}]}",
			patch: "{tolerations: [{key: c}], containers: [{name: a, args: [c], envFrom: [{prefix: b}, {prefix: c}]}]}",
			want:  "{tolerations: [{key: c}], containers: [{name: a, args: [c], envFrom: [{prefix: b}, {prefix: c}]}]}",
		},
		"maps by key": {
			spec:  "{nodeSelector: {a: '1', b: '1'}, containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]}",
			patch: "{nodeSelector: {b: '2', c: '2', a: null}, containers: [{name: a, resources: {limits: {memory: null}, requests: {cpu: 0.5}}}]}",
			want:  "{nodeSelector: {b: '2', c: '2'}, containers: [{name: a, resources: {limits: {cpu: 1}, requests: {cpu: 500m}}}]}",
		},
		"null removes, also what is not there": {
			spec:  "{hostname: a, securityContext: {runAsUser: 1, fsGroup: 2}, tolerations: [{key: a}], containers: [{name: a, env: [{name: A}]}]}",
			patch: "{hostname: null, subdomain: null, securityContext: {runAsUser: null}, tolerations: null, containers: [{name: a, env: null, lifecycle: null}]}",
			want:  "{securityContext: {fsGroup: 2}, containers: [{name: a}]}",
		},
		"null in what is new": {
			spec:  "containers: [{name: a}]",
			patch: "{securityContext: {runAsUser: null, fsGroup: 1}, containers: [{name: b, image: b, env: null, securityContext: {privileged: null}}]}",
			want:  "{securityContext: {fsGroup: 1}, containers: [{name: a}, {name: b, image: b, securityContext: {}}]}",
		},
		"empty lists and objects change nothing": {
			spec:  "{nodeSelector: {a: '1'}, containers: [{name: a, env: [{name: A}]}]}",
			patch: "{nodeSelector: {}, containers: [{name: a, env: []}], volumes: []}",
			want:  "{nodeSelector: {a: '1'}, containers: [{name: a, env: [{name: A}]}], volumes: []}",
		},
		"another source of a volume replaces it": {
			spec:  "{containers: [], volumes: [{name: v, emptyDir: {sizeLimit: 1Gi}}, {name: w, emptyDir: {sizeLimit: 1Gi}}, {name: x, emptyDir: {medium: Memory}}]}",
			patch: "volumes: [{name: v, configMap: {name: c}}, {name: w, emptyDir: {medium: Memory}}, {name: x}]",
			want:  "{containers: [], volumes: [{name: v, configMap: {name: c}}, {name: w, emptyDir: {sizeLimit: 1Gi, medium: Memory}}, {name: x, emptyDir: {medium: Memory}}]}",
		},
		"another source of a variable replaces it": {
			spec: "containers: [{name: a, env: [{name: A, value: x}, {name: B, valueFrom: {fieldRef: {fieldPath: a}}}, {name: C, valueFrom: {fieldRef: {fieldPath: a}}}, " +
				"{name: D, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]",
			patch: "containers: [{name: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: b}}}, {name: B, value: why}, {name: C, valueFrom: {configMapKeyRef: {name: c, key: k}}}, " +
				"{name: D, valueFrom: {secretKeyRef: {key: l}}}]}]",
			want: "containers: [{name: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: b}}}, {name: B, value: why}, {name: C, valueFrom: {configMapKeyRef: {name: c, key: k}}}, " +
				"{name: D, valueFrom: {secretKeyRef: {name: s, key: l}}}]}]",
		},
		"what is there twice": {
			spec:  "containers: [{name: a, env: [{name: A, value: '1'}, {name: A, value: '2'}], ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP}]}]",
			patch: "containers: [{name: a, env: [{name: A, value: '3'}], ports: [{containerPort: 53, hostPort: 53}]}]",
			errs: "spec.containers[0].env[1].name: Invalid value: A is there 2 times, and a patch changes it; keep one\n" +
				"spec.containers[0].ports[1].containerPort: Invalid value: 53 is there 2 times, and a patch changes it; keep one\n",
		},
		"what is there twice and not patched": {
			spec:  "containers: [{name: a, env: [{name: A, value: '1'}, {name: B}, {name: A, value: '2'}]}]",
			patch: "containers: [{name: a, env: [{name: B, value: '3'}]}]",
			want:  "containers: [{name: a, env: [{name: A, value: '1'}, {name: B, value: '3'}, {name: A, value: '2'}]}]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var spec, want corev1.PodSpec
			for text, target := range map[string]*corev1.PodSpec{tc.spec: &spec, tc.want: &want} {
				if err := yaml.UnmarshalStrict([]byte(text), target); err != nil {
					t.Fatal(err)
				}
			}
			before := spec.DeepCopy()
			errs := mergeInto(&spec, parseTree(t, tc.patch), podSpecSchema(), specPath)
			if diff := cmp.Diff(tc.errs, errorLines(errs)); diff != "" {
				t.Fatalf("errors (-want +got):\n%s", diff)
			}
			if len(errs) > 0 {
				want = *before
			}
			if diff := cmp.Diff(encode(t, want), encode(t, spec)); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMergeAgreesWithKubernetes compares random merges with those of the
// library that the API server uses, which orders lists by the patch.
func TestMergeAgreesWithKubernetes(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		spec, change := randomSpec(random, false), randomSpec(random, true)
		merged := decodeSpec(t, spec)
		raw := jsonText(t, change)
		parsed, errs := parseSpecPatch(raw, field.NewPath("patch"), platformRules)
		if len(errs) > 0 {
			t.Fatalf("seed %d: %v", seed, errs.ToAggregate())
		}
		if errs := mergeInto(&merged, parsed.pod, podSpecSchema(), specPath); len(errs) > 0 {
			t.Fatalf("seed %d: %v", seed, errs.ToAggregate())
		}
		text, err := strategicpatch.StrategicMergePatch(jsonText(t, decodeSpec(t, spec)), raw, corev1.PodSpec{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var want corev1.PodSpec
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sorted(t, want), sorted(t, merged)); diff != "" {
			t.Fatalf("seed %d: spec %s, patch %s (-library +ours):\n%s", seed, jsonText(t, spec), raw, diff)
		}
	}
}

// randomSpec is a pod's spec, or a patch of one, which may have nulls. Each
// volume and variable has one kind of source: about others the two differ.
func randomSpec(random *rand.Rand, isPatch bool) map[string]any {
	pick := func(probability int, value any) any {
		if isPatch && random.IntN(8) == 0 {
			return nil
		}
		if random.IntN(probability) == 0 {
			return value
		}
		return "absent"
	}
	put := func(object map[string]any, name string, value any) {
		if value != "absent" {
			object[name] = value
		}
	}
	list := func(key, prefix string, element func(map[string]any)) []any {
		elements := []any{}
		for _, i := range random.Perm(5)[:random.IntN(5)] {
			object := map[string]any{key: fmt.Sprint(prefix, i)}
			element(object)
			elements = append(elements, object)
		}
		return elements
	}
	container := func(object map[string]any) {
		put(object, "image", pick(2, fmt.Sprint("image", random.IntN(9))))
		put(object, "args", pick(2, []any{"a", fmt.Sprint(random.IntN(9))}))
		object["env"] = list("name", "E", func(object map[string]any) { put(object, "value", pick(2, fmt.Sprint(random.IntN(9)))) })
		object["volumeMounts"] = list("mountPath", "/m", func(object map[string]any) { object["name"] = "v" })
		put(object, "resources", pick(2, map[string]any{"limits": map[string]any{"cpu": "1", fmt.Sprint("example.com/", random.IntN(3)): "1"}}))
		put(object, "securityContext", pick(2, map[string]any{"runAsUser": random.IntN(9), "capabilities": map[string]any{"add": []any{"A"}}}))
	}
	spec := map[string]any{"containers": list("name", "c", container), "initContainers": list("name", "i", container)}
	spec["volumes"] = list("name", "v", func(object map[string]any) { object["emptyDir"] = map[string]any{"medium": fmt.Sprint(random.IntN(3))} })
	put(spec, "nodeSelector", pick(2, map[string]any{"a": fmt.Sprint(random.IntN(3)), fmt.Sprint(random.IntN(3)): "b"}))
	put(spec, "tolerations", pick(2, []any{map[string]any{"key": fmt.Sprint(random.IntN(3))}}))
	put(spec, "hostname", pick(2, "h"))
	put(spec, "imagePullSecrets", pick(2, []any{map[string]any{"name": fmt.Sprint("s", random.IntN(3))}}))
	put(spec, "affinity", pick(2, map[string]any{"nodeAffinity": map[string]any{"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": random.IntN(9), "preference": map[string]any{}}}}}))
	return spec
}

func decodeSpec(t *testing.T, spec map[string]any) corev1.PodSpec {
	t.Helper()
	var typed corev1.PodSpec
	if err := json.Unmarshal(jsonText(t, spec), &typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

func jsonText(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sorted is a spec's JSON with every list of named things in order.
func sorted(t *testing.T, spec corev1.PodSpec) string {
	t.Helper()
	for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		slices.SortFunc(list, func(a, b corev1.Container) int { return strings.Compare(a.Name, b.Name) })
		for _, container := range list {
			slices.SortFunc(container.Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
			slices.SortFunc(container.VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
		}
	}
	slices.SortFunc(spec.Volumes, func(a, b corev1.Volume) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(spec.ImagePullSecrets, func(a, b corev1.LocalObjectReference) int { return strings.Compare(a.Name, b.Name) })
	return encode(t, spec)
}

// TestSchemaOfMerges: the merge knows lists that merge by a key; another kind
// in a newer library must not pass unseen.
func TestSchemaOfMerges(t *testing.T) {
	for name, structure := range map[string]any{"spec": &corev1.PodSpec{}, "container": &corev1.Container{}} {
		of := schemaOf(structure)
		for list := range fieldsOf(reflect.ValueOf(structure).Elem()) {
			_, meta, err := of.LookupPatchMetadataForSlice(list)
			if err != nil {
				continue
			}
			if strategies := strings.Join(meta.GetPatchStrategies(), ","); strategies != "" && meta.GetPatchMergeKey() == "" {
				t.Errorf("%s.%s merges by %q without a key", name, list, strategies)
			}
		}
	}
}

// TestUnknownFieldsSurviveAMerge: fields of a newer Kubernetes stay with what
// they belong to, also in what a patch changes.
func TestUnknownFieldsSurviveAMerge(t *testing.T) {
	raw := []byte(`{"metadata":{"labels":{"buildkite.com/inject":"true"},"annotations":{"buildkite.com/job-containers":"a,b","buildkite.com/plugin":` +
		`"{\"podSpecPatch\":{\"hostname\":\"h\",\"containers\":[{\"name\":\"b\",\"image\":\"patched\",\"env\":[{\"name\":\"E\",\"value\":\"2\"},{\"name\":\"F\"}]},{\"name\":\"c\",\"image\":\"new\"}],` +
		`\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"medium\":\"Memory\"}}]}}"}},` +
		`"spec":{"restartPolicy":"Never","specTomorrow":1,"containers":[{"name":"a","image":"a","aTomorrow":{"x":1.50},"resources":{"limits":{"memory":"0.5Gi"}}},` +
		`{"name":"b","image":"b","bTomorrow":[2],"env":[{"name":"E","value":"1","eTomorrow":3}],"resources":{"rTomorrow":4}}],` +
		`"volumes":[{"name":"v","vTomorrow":5,"emptyDir":{"sizeLimit":"1Gi","dTomorrow":6}}]}}`)
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	result, errs := parsedConfig(t, "").Mutate(&pod)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	operations, err := patch.Options{Originals: result.Originals}.Create(raw, &pod)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := patch.Apply(raw, operations)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Spec struct {
			SpecTomorrow json.RawMessage `json:"specTomorrow"`
			Hostname     string          `json:"hostname"`
			Containers   []struct {
				Name      string          `json:"name"`
				Image     string          `json:"image"`
				ATomorrow json.RawMessage `json:"aTomorrow"`
				BTomorrow json.RawMessage `json:"bTomorrow"`
				Env       []struct {
					Name      string          `json:"name"`
					Value     string          `json:"value"`
					ETomorrow json.RawMessage `json:"eTomorrow"`
				} `json:"env"`
				Resources struct {
					RTomorrow json.RawMessage `json:"rTomorrow"`
				} `json:"resources"`
			} `json:"containers"`
			Volumes []struct {
				VTomorrow json.RawMessage `json:"vTomorrow"`
				EmptyDir  struct {
					Medium    string          `json:"medium"`
					DTomorrow json.RawMessage `json:"dTomorrow"`
				} `json:"emptyDir"`
			} `json:"volumes"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(patched, &got); err != nil {
		t.Fatal(err)
	}
	spec := got.Spec
	a, b, volume := spec.Containers[0], spec.Containers[1], spec.Volumes[0]
	have := fmt.Sprint(spec.Hostname, " ", a.Name, " ", b.Name, " ", b.Image, " ", spec.Containers[2].Name, " ", b.Env[0].Value, " ", b.Env[1].Name, " ", volume.EmptyDir.Medium,
		string(spec.SpecTomorrow), string(a.ATomorrow), string(b.BTomorrow), string(b.Env[0].ETomorrow), string(b.Resources.RTomorrow), string(volume.VTomorrow), string(volume.EmptyDir.DTomorrow))
	if want := `h a b patched c 2 F Memory1{"x":1.50}[2]3456`; have != want {
		t.Errorf("patched pod has %s, want %s in:\n%s", have, want, patched)
	}
	if !strings.Contains(string(patched), `"0.5Gi"`) {
		t.Errorf("a quantity that nobody patched has another form:\n%s", patched)
	}
}

// TestHostilePatches: what a patch cannot do, and what happens instead.
func TestHostilePatches(t *testing.T) {
	const where = "metadata.annotations[buildkite.com/plugin].podSpecPatch"
	for name, tc := range map[string]struct {
		plugin, want string
		edit         func(*corev1.Pod)
	}{
		"duplicates a container": {
			plugin: "podSpecPatch: {containers: [{name: test, image: a}, {name: test, image: b}]}",
			want:   where + ".containers[1].name: Duplicate value: \"test\"\n",
		},
		"patches one of two": {
			plugin: "podSpecPatch: {containers: [{name: test, image: a}]}",
			edit:   func(pod *corev1.Pod) { pod.Spec.Containers = append(pod.Spec.Containers, pod.Spec.Containers[0]) },
			want: "spec.containers[1].name: Invalid value: test is there 2 times, and a patch changes it; keep one\n" +
				"spec.containers[1].name: Duplicate value: \"test\"\n",
		},
		"deletes a container": {
			plugin: "podSpecPatch: {containers: [{name: test, $patch: delete}]}",
			want:   where + ".containers[0].$patch: Forbidden: a patch has no directives here; null removes a field, and lists keep their order\n",
		},
		"removes all containers": {
			plugin: "podSpecPatch: {containers: null}",
			want:   where + ".containers: Forbidden: a patch changes and adds containers; it does not remove them\n",
		},
		"removes the name of a container": {
			plugin: "podSpecPatch: {containers: [{name: null, image: a}]}",
			want:   where + ".containers[0].name: Required value: it says which element the patch is about\n",
		},
		"adds a container with a reserved name": {
			plugin: "podSpecPatch: {initContainers: [{name: agent, image: mine}]}",
			want:   where + ".initContainers[0].name: Invalid value: \"agent\": the injected container of this name is in another list\n",
		},
		"replaces the agent": {
			plugin: "podSpecPatch: {containers: [{name: agent, image: mine, command: [sh]}]}",
			want: where + ".containers[0].command: Forbidden: of an injected container a patch may change resources; remove the field\n" +
				where + ".containers[0].image: Forbidden: of an injected container a patch may change resources; remove the field\n",
		},
		"mounts an injected volume": {
			plugin: "podSpecPatch: {containers: [{name: test, volumeMounts: [{name: buildkite-agent-token, mountPath: /t}]}]}",
			want:   "spec.containers[0].volumeMounts[0].name: Invalid value: \"buildkite-agent-token\": an injected volume is not for other containers; remove the mount\n",
		},
		"sets our variables": {
			plugin: "podSpecPatch: {containers: [{name: test, env: [{name: BUILDKITE_CONTAINER_ID, value: '7'}]}]}",
			want:   "spec.containers[0].env[0].name: Invalid value: \"BUILDKITE_CONTAINER_ID\": reserved in job containers; the order of containers comes from the pod; remove the variable\n",
		},
		"adds a probe": {
			plugin: "podSpecPatch: {containers: [{name: test, livenessProbe: {exec: {command: ['true']}}}]}",
			want:   "spec.containers[0].livenessProbe: Forbidden: it would end the container while it waits for its turn; remove it, the job's time-out ends a command that hangs\n",
		},
		"is a text":          {plugin: "podSpecPatch: text", want: where + ": Invalid value: want an object, found a string\n"},
		"has a wrong type":   {plugin: "podSpecPatch: {containers: {name: test}}", want: where + ".containers: Invalid value: want a list, found an object\n"},
		"has a wrong number": {plugin: "podSpecPatch: {activeDeadlineSeconds: 1.5}", want: where + ".activeDeadlineSeconds: Invalid value: want a whole number, found a number\n"},
		"deadline of zero":   {plugin: "jobActiveDeadlineSeconds: 0", want: "metadata.annotations[buildkite.com/plugin].jobActiveDeadlineSeconds: Invalid value: 0: want a number of seconds from 1 to 2147483647\n"},
		"an image of none": {
			edit: func(pod *corev1.Pod) { pod.Annotations[contract.ImageAnnotation] = "" },
			want: "metadata.annotations[buildkite.com/image]: Required value: name an image\n",
		},
		"a class where there are none": {
			edit: func(pod *corev1.Pod) { pod.Annotations[contract.ResourceClassAnnotation] = "large" },
			want: "metadata.annotations[buildkite.com/resource-class]: Invalid value: \"large\": the platform has no resource classes; remove it\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := parsedConfig(t, "").Mutate(mergePod(tc.plugin, tc.edit))
			if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlatformPatchOfAbsentContainers: a platform patch is for all pods, of
// which each has some of its containers; an author's is for one pod.
func TestPlatformPatchOfAbsentContainers(t *testing.T) {
	config := parsedConfig(t, "podSpecPatch: {containers: [{name: other, env: [{name: A}]}, {name: added, image: a}], initContainers: [{name: prepare, tty: true}]}\n")
	pod, warnings := injected(t, config, mergePod("", nil))
	var names []string
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		names = append(names, container.Name)
	}
	if got, want := strings.Join(names, " "), "install-entrypoint test added agent checkout"; got != want {
		t.Errorf("containers are %s, want %s", got, want)
	}
	if len(warnings) > 0 {
		t.Errorf("the author is warned of what the platform does: %v", warnings)
	}
}

// TestAddedContainersAreNotTheJobs: which containers run the job is decided
// before any patch, also where the pod does not say.
func TestAddedContainersAreNotTheJobs(t *testing.T) {
	config := parsedConfig(t, "podSpecPatch: {containers: [{name: platform, image: a}]}\n")
	pod, warnings := injected(t, config, mergePod("podSpecPatch: {containers: [{name: author, image: b}]}", func(pod *corev1.Pod) {
		delete(pod.Annotations, contract.JobContainersAnnotation)
	}))
	receipt, err := ParseReceipt(pod.Annotations[contract.InjectedAnnotation])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"test"}, receipt.Plan.jobContainerNames()); diff != "" {
		t.Errorf("job containers (-want +got):\n%s", diff)
	}
	want := []string{
		`metadata.annotations[buildkite.com/job-containers]: not set: running "test" as job containers, in this order`,
		`metadata.annotations[buildkite.com/plugin].podSpecPatch.containers[author]: added beside the job containers: it does not run the job, and the pod ends only when it does`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// BenchmarkMergeInto is a patch of one variable of many.
func BenchmarkMergeInto(b *testing.B) {
	for _, count := range []int{20, 200, 2000, 20000} {
		b.Run(fmt.Sprint(count, " variables"), func(b *testing.B) {
			spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}
			for i := range count {
				spec.Containers[0].Env = append(spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprint("VARIABLE_", i), Value: "some value of middling length"})
			}
			change := map[string]any{"containers": []any{map[string]any{"name": "a", "env": []any{map[string]any{"name": "VARIABLE_7", "value": "x"}}}}}
			for b.Loop() {
				work := spec
				if errs := mergeInto(&work, change, podSpecSchema(), specPath); len(errs) > 0 {
					b.Fatal(errs.ToAggregate())
				}
			}
		})
	}
}

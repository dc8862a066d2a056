package patch_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	operations "gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

func decode(t *testing.T, raw string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(raw), &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func tree(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return value
}

func TestCreate(t *testing.T) {
	cases := map[string]struct {
		raw    string
		mutate func(*corev1.Pod)
		keep   patch.Originals
		want   string
	}{
		"nothing": {
			raw:    `{"spec":{"containers":[{"name":"a","new":1}]}}`,
			mutate: func(*corev1.Pod) {},
			want:   `{"spec":{"containers":[{"name":"a","new":1}]}}`,
		},
		"insert before, change, append": {
			raw: `{"spec":{"new":1,"containers":[{"name":"a","image":"x","args":["1"],"new":{"of":"a"},"env":[{"name":"E","new":2}]},{"name":"b","new":"b"}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Args = []string{"2", "3"}
				p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "F", Value: "1"})
				p.Spec.Containers = append([]corev1.Container{{Name: "first"}}, append(p.Spec.Containers, corev1.Container{Name: "last"})...)
			},
			want: `{"spec":{"new":1,"containers":[{"name":"first","resources":{}},{"name":"a","image":"x","args":["2","3"],"new":{"of":"a"},"env":[{"name":"E","new":2},{"name":"F","value":"1"}]},{"name":"b","new":"b"},{"name":"last","resources":{}}]}}`,
		},
		"lists that were not there": {
			raw: `{"spec":{"containers":[{"name":"a"}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Name: "i"}}
				p.Spec.Volumes = []corev1.Volume{{Name: "v"}}
				p.Labels = map[string]string{"a/b~c": "d"}
			},
			want: `{"metadata":{"labels":{"a/b~c":"d"}},"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i","resources":{}}],"volumes":[{"name":"v"}]}}`,
		},
		"lists that were null or empty": {
			raw: `{"metadata":{"annotations":null},"spec":{"containers":[{"name":"a","env":null}],"initContainers":null,"volumes":[]}}`,
			mutate: func(p *corev1.Pod) {
				p.Annotations = map[string]string{"a": "b"}
				p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "E"}}
				p.Spec.InitContainers = []corev1.Container{{Name: "i"}}
				p.Spec.Volumes = []corev1.Volume{{Name: "v"}}
			},
			want: `{"metadata":{"annotations":{"a":"b"}},"spec":{"containers":[{"name":"a","env":[{"name":"E"}]}],"initContainers":[{"name":"i","resources":{}}],"volumes":[{"name":"v"}]}}`,
		},
		"unnamed containers get names": {
			raw: `{"spec":{"containers":[{"image":"x","new":0},{"name":"","image":"y","new":1}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Name, p.Spec.Containers[1].Name = "container-0", "container-1"
				p.Spec.Containers = slices.Insert(p.Spec.Containers, 0, corev1.Container{Name: "first"})
			},
			want: `{"spec":{"containers":[{"name":"first","resources":{}},{"name":"container-0","image":"x","new":0},{"name":"container-1","image":"y","new":1}]}}`,
		},
		"gates go, those of others stay": {
			raw: `{"spec":{"containers":[],"schedulingGates":[{"name":"a","new":1},{"name":"ours"},{"name":"b","new":2}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.SchedulingGates = slices.Delete(p.Spec.SchedulingGates, 1, 2)
			},
			want: `{"spec":{"containers":[],"schedulingGates":[{"name":"a","new":1},{"name":"b","new":2}]}}`,
		},
		"the only gate goes": {
			raw:    `{"spec":{"containers":[],"schedulingGates":[{"name":"ours"}]}}`,
			mutate: func(p *corev1.Pod) { p.Spec.SchedulingGates = nil },
			want:   `{"spec":{"containers":[]}}`,
		},
		"large numbers stay": {
			raw:    `{"spec":{"containers":[{"name":"a","new":9007199254740993}],"terminationGracePeriodSeconds":9007199254740993}}`,
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" },
			want:   `{"spec":{"containers":[{"name":"a","image":"x","new":9007199254740993}],"terminationGracePeriodSeconds":9007199254740993}}`,
		},
		"originals keep their fields": {
			raw: `{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"user"}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "s", Image: "x",
					Env: []corev1.EnvVar{{Name: "E", Value: "1"}, {Name: "F"}}})
			},
			keep: patch.Originals{"s": json.RawMessage(`{"image":"ignored","new":{"a":1},"env":[{"name":"E","new":2}],"stdin":null}`),
				"user": json.RawMessage(`{"never":"used"}`)},
			want: `{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"user"},{"name":"s","image":"x","resources":{},"new":{"a":1},"env":[{"name":"E","value":"1","new":2},{"name":"F"}]}]}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := decode(t, tc.raw)
			tc.mutate(pod)
			list, err := patch.CreateKeeping([]byte(tc.raw), pod, tc.keep)
			if err != nil {
				t.Fatal(err)
			}
			got, err := patch.Apply([]byte(tc.raw), list)
			if err != nil {
				t.Fatalf("%v: %v", err, list)
			}
			if diff := cmp.Diff(tree(t, []byte(tc.want)), tree(t, got)); diff != "" {
				t.Errorf("patched document (-want +got):\n%s", diff)
			}
			if !strings.Contains(tc.raw, "9007199254740993") || strings.Count(string(got), "9007199254740993") == 2 {
				return
			}
			t.Errorf("a large number changed: %s", got)
		})
	}
}

func TestCreateErrors(t *testing.T) {
	const raw = `{"spec":{"containers":[{"name":"a"},{"name":"b"}],"volumes":[{"name":"v"},{"name":"w"}]}}`
	cases := map[string]struct {
		raw    string
		mutate func(*corev1.Pod)
		want   string
	}{
		"removed container": {raw, func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] }, `patch /spec/containers: "b" was removed`},
		"renamed container": {raw, func(p *corev1.Pod) { p.Spec.Containers[0].Name = "c" }, `patch /spec/containers: "a" was removed`},
		"all containers":    {raw, func(p *corev1.Pod) { p.Spec.Containers = nil }, `patch /spec/containers: "b" was removed`},
		"moved container":   {raw, func(p *corev1.Pod) { slices.Reverse(p.Spec.Containers) }, `patch /spec/containers: "b" was moved`},
		"removed volume":    {raw, func(p *corev1.Pod) { p.Spec.Volumes = p.Spec.Volumes[1:] }, `patch /spec/volumes: "v" was removed`},
		"names twice":       {`{"spec":{"containers":[{"name":"a"},{"name":"a"}]}}`, func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" }, `patch /spec/containers: two elements are named "a"`},
		"null element":      {`{"spec":{"containers":[null]}}`, func(p *corev1.Pod) { p.Spec.Containers[0].Name = "container-0" }, "patch /spec/containers: an element is not an object"},
		"no name":           {`{"spec":{"volumes":[{}]}}`, func(p *corev1.Pod) { p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v"}) }, "patch /spec/volumes/0: an element has no name"},
		"no pod":            {`[]`, func(*corev1.Pod) {}, "decode pod: "},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			_ = json.Unmarshal([]byte(tc.raw), &pod)
			tc.mutate(&pod)
			_, err := patch.Create([]byte(tc.raw), &pod)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("Create error = %v, want %s", err, tc.want)
			}
		})
	}
}

// FuzzCreate makes a pod, plants a field that the library does not know on
// every element, mutates the pod at random within what is allowed, and looks
// for the fields.
func FuzzCreate(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		raw, err := json.Marshal(randomDocument(random))
		if err != nil {
			t.Fatal(err)
		}
		pod := decode(t, string(raw))
		mutate(random, pod)
		list, err := patch.Create(raw, pod)
		if err != nil {
			t.Fatal(err)
		}
		patched, err := patch.Apply(raw, list)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		have, err := json.Marshal(decode(t, string(patched)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("typed and patched pod differ:\n%s", diff)
		}
		if diff := cmp.Diff(planted(tree(t, raw), ""), planted(tree(t, patched), "")); diff != "" {
			t.Errorf("unknown fields moved or vanished (-before +after):\n%s\npatch: %v", diff, list)
		}
	})
}

// randomDocument is a pod's JSON in which everything with a name has a field
// unknownOf with that name.
func randomDocument(random *rand.Rand) map[string]any {
	named := func(prefix string, more map[string]any) []any {
		var list []any
		for i := range random.IntN(4) {
			name := fmt.Sprint(prefix, i)
			element := map[string]any{"name": name, "unknownOf": name}
			maps.Copy(element, more)
			list = append(list, element)
		}
		return list
	}
	container := map[string]any{
		"image": "x", "args": []any{"1", "2"},
		"env":          []any{map[string]any{"name": "E", "unknownOf": "E"}},
		"volumeMounts": []any{map[string]any{"name": "m", "mountPath": "/m", "unknownOf": "m"}},
		"resources":    map[string]any{"unknownOf": "resources"},
	}
	spec := map[string]any{"unknownOf": "spec", "containers": named("c", container)}
	for list, elements := range map[string][]any{
		"initContainers": named("i", container), "volumes": named("v", nil), "schedulingGates": named("g", nil), "tolerations": {map[string]any{"key": "t", "unknownOf": "t"}},
	} {
		if elements != nil {
			spec[list] = elements
		}
	}
	return map[string]any{"metadata": map[string]any{"name": "p"}, "spec": spec}
}

func mutate(random *rand.Rand, pod *corev1.Pod) {
	insert := func(list []corev1.Container, prefix string) []corev1.Container {
		for i := range random.IntN(3) {
			list = slices.Insert(list, random.IntN(len(list)+1), corev1.Container{Name: fmt.Sprint(prefix, i), Args: []string{"new"}})
		}
		return list
	}
	change := func(list []corev1.Container) {
		for i := range list {
			list[i].Args = append([]string{"0"}, list[i].Args[:random.IntN(len(list[i].Args)+1)]...)
			list[i].Env = append(list[i].Env, corev1.EnvVar{Name: "F"})
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: "n", MountPath: "/n"})
			list[i].SecurityContext = &corev1.SecurityContext{}
		}
	}
	change(pod.Spec.Containers)
	change(pod.Spec.InitContainers)
	pod.Spec.Containers = insert(pod.Spec.Containers, "new-c")
	pod.Spec.InitContainers = insert(pod.Spec.InitContainers, "new-i")
	for i := range random.IntN(3) {
		pod.Spec.Volumes = slices.Insert(pod.Spec.Volumes, random.IntN(len(pod.Spec.Volumes)+1), corev1.Volume{Name: fmt.Sprint("new-v", i)})
	}
	pod.Annotations = map[string]string{"a/b": "c"}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
}

// planted lists the unknown fields with the named elements that they are in.
func planted(value any, where string) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		if name, ok := value["name"].(string); ok {
			where += "/" + name
		}
		if unknown, ok := value["unknownOf"].(string); ok {
			found = append(found, where+" "+unknown)
		}
		for _, child := range value {
			found = append(found, planted(child, where)...)
		}
	case []any:
		for _, child := range value {
			found = append(found, planted(child, where)...)
		}
	}
	slices.Sort(found)
	return found
}

// BenchmarkCreate is the patch of a pod with many variables to which a few
// things are added.
func BenchmarkCreate(b *testing.B) {
	for _, count := range []int{20, 200, 2000} {
		b.Run(fmt.Sprint(count, " variables"), func(b *testing.B) {
			pod := corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Args: []string{"1"}}}}}
			for i := range count {
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprint("VARIABLE_", i), Value: "some value of middling length"})
			}
			raw, err := json.Marshal(&pod)
			if err != nil {
				b.Fatal(err)
			}
			pod.Spec.Containers[0].Args = []string{"2"}
			pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "LAST"})
			pod.Spec.Containers = slices.Insert(pod.Spec.Containers, 0, corev1.Container{Name: "first"})
			var list []operations.Operation
			for b.Loop() {
				if list, err = patch.Create(raw, &pod); err != nil {
					b.Fatal(err)
				}
			}
			text, err := json.Marshal(list)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(text)), "patch-bytes")
		})
	}
}

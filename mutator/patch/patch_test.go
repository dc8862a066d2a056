package patch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	operations "gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

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
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
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
		"variable inserted, removed, changed": {
			raw: `{"spec":{"containers":[{"name":"a","env":[{"name":"E","value":"1","new":"E"},{"name":"F","new":"F"},{"name":"G","new":"G"}]}]}}`,
			mutate: func(p *corev1.Pod) {
				env := p.Spec.Containers[0].Env
				p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "FIRST"}, env[0], env[2]}
				p.Spec.Containers[0].Env[1].Value = "2"
			},
			want: `{"spec":{"containers":[{"name":"a","env":[{"name":"FIRST"},{"name":"E","value":"2","new":"E"},{"name":"G","new":"G"}]}]}}`,
		},
		"variables of one name": {
			raw: `{"spec":{"containers":[{"name":"a","env":[{"name":"E","value":"1","new":1},{"name":"E","value":"2","new":2}]}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env[1].Value = "3"
			},
			want: `{"spec":{"containers":[{"name":"a","env":[{"name":"E","value":"1","new":1},{"name":"E","value":"3","new":2}]}]}}`,
		},
		"mounts by path, ports by number": {
			raw: `{"spec":{"containers":[{"name":"a","volumeMounts":[{"name":"v","mountPath":"/a","new":"a"},{"name":"v","mountPath":"/b","new":"b"}],"ports":[{"containerPort":1,"new":1},{"containerPort":2,"new":2}]}]}}`,
			mutate: func(p *corev1.Pod) {
				slices.Reverse(p.Spec.Containers[0].VolumeMounts)
				p.Spec.Containers[0].Ports = p.Spec.Containers[0].Ports[1:]
			},
			want: `{"spec":{"containers":[{"name":"a","volumeMounts":[{"name":"v","mountPath":"/b","new":"b"},{"name":"v","mountPath":"/a","new":"a"}],"ports":[{"containerPort":2,"new":2}]}]}}`,
		},
		"elements without a key are never another's": {
			raw: `{"spec":{"containers":[{"name":"a"}],"tolerations":[{"key":"a","new":"a"},{"key":"b","new":"b"}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Tolerations = []corev1.Toleration{{Key: "b"}, {Key: "c"}}
			},
			want: `{"spec":{"containers":[{"name":"a"}],"tolerations":[{"key":"b","new":"b"},{"key":"c"}]}}`,
		},
		"lists that go": {
			raw: `{"spec":{"containers":[{"name":"a","env":[{"name":"E"}],"resources":{"limits":{"cpu":"1","new":"2"}}}],"schedulingGates":[{"name":"g"}],"nodeSelector":{"a":"b","c":"d"}}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env, p.Spec.SchedulingGates = nil, nil
				delete(p.Spec.NodeSelector, "a")
				p.Spec.NodeSelector["e"] = ""
				p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("3"), "new": resource.MustParse("2")}
			},
			want: `{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"3","new":"2"}}}],"nodeSelector":{"c":"d","e":""}}}`,
		},
		"empty is as good as absent": {
			raw: `{"spec":{"containers":[{"name":"a","env":[],"args":[]}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env, p.Spec.Containers[0].Args = nil, nil
			},
			want: `{"spec":{"containers":[{"name":"a","env":[],"args":[]}]}}`,
		},
		"names twice": {
			raw: `{"spec":{"containers":[{"name":"a","new":1},{"name":"a","new":2}],"volumes":[{"new":1},{"new":2}]}}`,
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[1].Image = "x"
				p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v"})
			},
			want: `{"spec":{"containers":[{"name":"a","new":1},{"name":"a","image":"x","new":2}],"volumes":[{"new":1},{"new":2},{"name":"v"}]}}`,
		},
		"null element": {
			raw:    `{"spec":{"containers":[null,{"name":"a"}]}}`,
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].Name = "container-0" },
			want:   `{"spec":{"containers":[{"name":"container-0","resources":{}},{"name":"a"}]}}`,
		},
		"originals in a list that was not there": {
			raw:    `{"spec":{"containers":[{"name":"a"}]}}`,
			mutate: func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "i"}, {Name: "s"}} },
			keep:   patch.Originals{"s": json.RawMessage(`{"new":{"a":1}}`)},
			want:   `{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i","resources":{}},{"name":"s","resources":{},"new":{"a":1}}]}}`,
		},
		"numbers that no machine has": {
			raw:    `{"spec":{"containers":[{"name":"a","new":1e400}]}}`,
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" },
			want:   `{"spec":{"containers":[{"name":"a","image":"x","new":1e400}]}}`,
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
			list, err := patch.Options{Originals: tc.keep}.Create([]byte(tc.raw), pod)
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
		"removed container":      {raw, func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] }, `patch /spec/containers: "b" was removed`},
		"renamed container":      {raw, func(p *corev1.Pod) { p.Spec.Containers[0].Name = "c" }, `patch /spec/containers: "a" was removed`},
		"all containers":         {raw, func(p *corev1.Pod) { p.Spec.Containers = nil }, `patch /spec/containers: "b" was removed`},
		"moved container":        {raw, func(p *corev1.Pod) { slices.Reverse(p.Spec.Containers) }, `patch /spec/containers: "b" was moved`},
		"all volumes":            {raw, func(p *corev1.Pod) { p.Spec.Volumes = nil }, `patch /spec/volumes: everything was removed`},
		"moved volume":           {raw, func(p *corev1.Pod) { slices.Reverse(p.Spec.Volumes) }, `patch /spec/volumes: "w" was moved`},
		"removed init container": {`{"spec":{"initContainers":[{"name":"i"}],"containers":[]}}`, func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "j"}} }, `patch /spec/initContainers: "i" was removed`},
		"removed volume":         {raw, func(p *corev1.Pod) { p.Spec.Volumes = p.Spec.Volumes[1:] }, `patch /spec/volumes: "v" was removed`},
		"no pod":                 {`[]`, func(*corev1.Pod) {}, "decode pod: "},
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

// TestEncodeIsWhatOperationsEncodeThemselvesTo holds Encode against the library.
func TestEncodeIsWhatOperationsEncodeThemselvesTo(t *testing.T) {
	list := []operations.Operation{
		operations.NewOperation("add", "/metadata/labels/a~1b", "<&>"),
		operations.NewOperation("add", "/spec/nothing", nil),
		operations.NewOperation("replace", "/spec/containers/0", corev1.Container{Name: "job", Image: "a"}),
		operations.NewOperation("remove", "/spec/hostname", nil),
	}
	want, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	got, err := patch.Encode(list)
	if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
}

package patch_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// FuzzPatch takes a pod, plants a field that the library does not know on every
// element of its lists, and changes the pod at random. The patched document must
// decode to the changed pod, and each planted field be on the element that it was
// on, for as long as the element is there.
func FuzzPatch(f *testing.F) {
	for i, seed := range goldenPods(f) {
		f.Add(seed, uint64(i))
	}
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		var pod corev1.Pod
		if kjson.Unmarshal(raw, &pod) != nil {
			return
		}
		for i := range pod.Spec.Containers {
			// The mutator names them first, which TestCreate covers.
			pod.Spec.Containers[i].Name = cmp.Or(pod.Spec.Containers[i].Name, fmt.Sprint("container-", i))
		}
		document := encode(t, &pod)
		var root map[string]any
		if err := json.Unmarshal(document, &root); err != nil {
			t.Fatal(err)
		}
		plant(root, new(int))
		document = encode(t, root)
		mutated := pod.DeepCopy()
		change(rand.New(rand.NewPCG(seed, 1)), reflect.ValueOf(mutated).Elem())
		if hasTwins(mutated) {
			// Which of several of one name came or went cannot be told.
			return
		}
		if isIntact(&pod, mutated) {
			checkDocument(t, document, mutated)
		} else if _, err := patch.Create(document, mutated); err == nil {
			t.Error("an element that the user wrote is gone or out of order, and there is no error")
		}
	})
}

// checkDocument applies the patch and looks at the result.
func checkDocument(t *testing.T, document []byte, mutated *corev1.Pod) {
	t.Helper()
	list, err := patch.Create(document, mutated)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := patch.Apply(document, list)
	if err != nil {
		t.Fatal(err)
	}
	condensed, err := patch.Options{Condense: true}.Create(document, mutated)
	if err != nil {
		t.Fatal(err)
	}
	atOnce, err := patch.Apply(document, condensed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := diff.Diff(tree(t, patched), tree(t, atOnce)); diff != "" {
		t.Fatalf("the condensed patch has another result (-want +got):\n%s\npatch: %s", diff, encode(t, condensed))
	}
	var got corev1.Pod
	if err := kjson.Unmarshal(patched, &got); err != nil {
		t.Fatal(err)
	}
	if diff := diff.Diff(string(encode(t, mutated)), string(encode(t, &got))); diff != "" {
		t.Fatalf("decoded patched document differs from the pod (-want +got):\n%s\npatch: %s", diff, encode(t, list))
	}
	before, after := map[string][]string{}, map[string][]string{}
	collect(tree(t, document), "", before)
	collect(tree(t, patched), "", after)
	for where, marks := range after {
		if inTwins(where, before) || inTwins(where, after) {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(marks), func(mark string) bool { return mark == "" })
		if want := min(len(before[where]), len(marks)); len(kept) != want {
			t.Errorf("%s: %d of the unknown fields are left, want %d\npatch: %s", where, len(kept), want, encode(t, list))
		}
		for _, mark := range kept {
			if !slices.Contains(before[where], mark) {
				t.Errorf("%s: has the unknown field %s of another element\npatch: %s", where, mark, encode(t, list))
			}
		}
	}
}

// inTwins says whether the place is within one of several elements of one name:
// which became which cannot be told.
func inTwins(where string, found map[string][]string) bool {
	for twin, marks := range found {
		if len(marks) > 1 && len(where) > len(twin) && strings.HasPrefix(where, twin) {
			return true
		}
	}
	return false
}

// guarded lists the names in the lists that only grow.
func guarded(pod *corev1.Pod) [3][]string {
	var names [3][]string
	for _, container := range pod.Spec.Containers {
		names[0] = append(names[0], container.Name)
	}
	for _, container := range pod.Spec.InitContainers {
		names[1] = append(names[1], container.Name)
	}
	for _, volume := range pod.Spec.Volumes {
		names[2] = append(names[2], volume.Name)
	}
	return names
}

func hasTwins(pod *corev1.Pod) bool {
	for _, names := range guarded(pod) {
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names) {
			return true
		}
	}
	return false
}

// isIntact says whether all containers and volumes are still there, in order.
func isIntact(before, after *corev1.Pod) bool {
	then := guarded(after)
	for i, rest := range guarded(before) {
		for _, name := range then[i] {
			if len(rest) > 0 && rest[0] == name {
				rest = rest[1:]
			}
		}
		if len(rest) > 0 {
			return false
		}
	}
	return true
}

const unknown = "fieldOfTomorrow"

// plant puts a field that nobody knows on every object in a list.
func plant(value any, count *int) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			plant(value[key], count)
		}
	case []any:
		for _, element := range value {
			plant(element, count)
			if object, isObject := element.(map[string]any); isObject {
				*count++
				object[unknown] = fmt.Sprint(*count)
			}
		}
	}
}

// mergeKeys are the members that name the elements of a pod's lists, as the
// Kubernetes API documents them.
var mergeKeys = map[string]string{
	"containers": "name", "initContainers": "name", "ephemeralContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath",
	"volumeDevices": "devicePath", "ports": "containerPort", "schedulingGates": "name", "imagePullSecrets": "name", "hostAliases": "ip",
	"topologySpreadConstraints": "topologyKey", "resourceClaims": "name", "ownerReferences": "uid", "conditions": "type",
	"podIPs": "ip", "hostIPs": "ip", "resourceClaimStatuses": "name",
}

// collect lists what is planted, by a path of the elements' own names.
func collect(value any, where string, found map[string][]string) {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			collect(child, where+"/"+key, found)
		}
	case []any:
		for _, element := range value {
			object, isObject := element.(map[string]any)
			if !isObject {
				continue
			}
			key, isKeyed := mergeKeys[where[strings.LastIndex(where, "/")+1:]]
			name := fmt.Sprint(object[key])
			if !isKeyed || strings.Contains(where, "/resources/") {
				name = content(object)
			}
			place := where + "[" + name + "]"
			mark, _ := object[unknown].(string)
			found[place] = append(found[place], mark)
			collect(object, place, found)
		}
	}
}

// content is an element without what is planted in it.
func content(object map[string]any) string {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var copied map[string]any
	if err := json.Unmarshal(text, &copied); err != nil {
		panic(err)
	}
	clean(copied)
	return fmt.Sprint(copied)
}

func clean(value any) {
	switch value := value.(type) {
	case map[string]any:
		delete(value, unknown)
		for _, child := range value {
			clean(child)
		}
	case []any:
		for _, child := range value {
			clean(child)
		}
	}
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// change changes a value at random: texts, and what lists and maps hold.
func change(random *rand.Rand, value reflect.Value) {
	if value.Type().Implements(marshaler) || reflect.PointerTo(value.Type()).Implements(marshaler) {
		return
	}
	switch value.Kind() {
	case reflect.String:
		if random.IntN(20) == 0 {
			value.SetString(fmt.Sprint("changed-", random.IntN(5)))
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				change(random, value.Field(i))
			}
		}
	case reflect.Pointer:
		switch {
		case value.IsNil() && random.IntN(50) == 0:
			value.Set(reflect.New(value.Type().Elem()))
		case value.IsNil():
		case random.IntN(20) == 0:
			value.SetZero()
		default:
			change(random, value.Elem())
		}
	case reflect.Slice:
		changeList(random, value)
	case reflect.Map:
		if value.Len() > 0 && random.IntN(4) == 0 {
			value.SetMapIndex(value.MapKeys()[0], reflect.Value{})
		}
		if !value.IsNil() && value.Type().Elem().Kind() == reflect.String && random.IntN(4) == 0 {
			value.SetMapIndex(reflect.ValueOf("changed/~1"), reflect.ValueOf("value"))
		}
	}
}

func changeList(random *rand.Rand, list reflect.Value) {
	for i := range list.Len() {
		change(random, list.Index(i))
	}
	if list.Len() > 0 && random.IntN(8) == 0 {
		i := random.IntN(list.Len())
		list.Set(reflect.AppendSlice(list.Slice3(0, i, i), list.Slice(i+1, list.Len())))
	}
	if list.Len() > 1 && random.IntN(8) == 0 {
		reflect.Swapper(list.Interface())(random.IntN(list.Len()), random.IntN(list.Len()))
	}
	if random.IntN(16) == 0 {
		i := random.IntN(list.Len() + 1)
		grown := reflect.Append(list.Slice3(0, i, i), reflect.New(list.Type().Elem()).Elem())
		list.Set(reflect.AppendSlice(grown, list.Slice(i, list.Len())))
	}
}

// goldenPods are the mutator's golden pods, before and after, as JSON.
func goldenPods(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("../testdata/*.*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	var pods [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			f.Fatal(err)
		}
		pods = append(pods, raw)
	}
	if len(pods) == 0 {
		f.Fatal("no golden pods")
	}
	return pods
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

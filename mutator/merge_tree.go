package mutator

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// schema tells how the fields of a Kubernetes type merge.
type schema = strategicpatch.LookupPatchMeta

func podSpecSchema() schema { return schemaOf(corev1.PodSpec{}) }

func containerSchema() schema { return schemaOf(corev1.Container{}) }

func schemaOf(structure any) schema {
	result, err := strategicpatch.NewPatchMetaFromStruct(structure)
	if err != nil {
		// It fails for what is no struct.
		panic("schema of a Kubernetes type: " + err.Error())
	}
	return result
}

// listMerge returns how the elements of a list merge: by the value of a key, or
// not at all where the key is empty: the patch's list then replaces the other.
func listMerge(of schema, name string) (elements schema, key string) {
	elements, meta, err := of.LookupPatchMetadataForSlice(name)
	if err != nil || !slices.Contains(meta.GetPatchStrategies(), "merge") {
		return nil, ""
	}
	return elements, meta.GetPatchMergeKey()
}

// objectMerge returns the schema of an object's member that is an object; nil
// for a map, whose members are no fields.
func objectMerge(of schema, name string) schema {
	if of == nil {
		return nil
	}
	members, _, err := of.LookupPatchMetadataForStruct(name)
	if err != nil {
		return nil
	}
	return members
}

// mergeInto merges a patch into an object of a Kubernetes type, as the API server
// merges a strategic merge patch, with null to remove a member. Unlike there
// lists keep the order that they have, and new elements come last; and what the
// patch means must be certain. The library's merge takes the square of a list's
// length: 15 seconds for the longest env of a pod.
func mergeInto[T any](target *T, patch map[string]any, of schema, path *field.Path) field.ErrorList {
	if len(patch) == 0 {
		return nil
	}
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(target)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	var merge merger
	merge.object(tree, patch, of, path)
	if len(merge.errs) > 0 {
		return merge.errs
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	var merged T
	if err := kjson.Unmarshal(text, &merged); err != nil {
		return field.ErrorList{invalid(path, "the patched object cannot be read: %s", oneLine(err))}
	}
	keepEqual(reflect.ValueOf(target).Elem(), reflect.ValueOf(&merged).Elem())
	*target = merged
	return nil
}

// keepEqual keeps what means the same as before in the form that it had: a
// quantity of 0.5Gi is not to become 512Mi in a container that nobody patched.
func keepEqual(before, after reflect.Value) {
	switch {
	case equality.Semantic.DeepEqual(before.Interface(), after.Interface()):
		after.Set(before)
	case before.Kind() == reflect.Struct:
		for i := range before.NumField() {
			if before.Type().Field(i).IsExported() {
				keepEqual(before.Field(i), after.Field(i))
			}
		}
	case before.Kind() == reflect.Slice:
		for i := range min(before.Len(), after.Len()) {
			keepEqual(before.Index(i), after.Index(i))
		}
	}
}

type merger struct {
	errs field.ErrorList
}

func (m *merger) object(target, patch map[string]any, of schema, path *field.Path) {
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		value := patch[name]
		switch existing := target[name].(type) {
		case map[string]any:
			if object, isObject := value.(map[string]any); isObject {
				m.object(existing, object, objectMerge(of, name), child(path, name))
				continue
			}
		case []any:
			if list, isList := value.([]any); isList && of != nil {
				target[name] = m.list(existing, list, of, name, path.Child(name))
				continue
			}
		}
		if value == nil {
			delete(target, name)
			continue
		}
		target[name] = value
	}
}

// list merges the elements of lists by their key.
func (m *merger) list(existing, patch []any, of schema, name string, path *field.Path) []any {
	elements, key := listMerge(of, name)
	if key == "" {
		return patch
	}
	places := map[string][]int{}
	for i, element := range existing {
		if object, isObject := element.(map[string]any); isObject {
			value := fmt.Sprint(object[key])
			places[value] = append(places[value], i)
		}
	}
	for _, element := range patch {
		object, isObject := element.(map[string]any)
		if !isObject {
			continue
		}
		value := fmt.Sprint(object[key])
		switch found := places[value]; len(found) {
		case 0:
			existing = append(existing, object)
		case 1:
			target, isObject := existing[found[0]].(map[string]any)
			if isObject {
				dropOtherSources(target, object, of, name)
				m.object(target, object, elements, path.Index(found[0]))
			}
		default:
			m.errs = append(m.errs, invalid(path.Index(found[1]).Child(key),
				"%s is there %d times, and a patch changes it; keep one", value, len(found)))
		}
	}
	return existing
}

// dropOtherSources makes way for the source that a patch gives a volume, a
// claim or a variable: each has one, so that naming another replaces it.
func dropOtherSources(target, patch map[string]any, of schema, list string) {
	if list == "env" {
		if source, isObject := patch["valueFrom"].(map[string]any); isObject {
			delete(target, "value")
			if existing, isObject := target["valueFrom"].(map[string]any); isObject {
				retain(existing, source)
			}
		}
		if patch["value"] != nil {
			delete(target, "valueFrom")
		}
		return
	}
	_, meta, err := of.LookupPatchMetadataForSlice(list)
	if err == nil && slices.Contains(meta.GetPatchStrategies(), "retainKeys") {
		retain(target, patch)
	}
}

// retain keeps the members that a patch has, if it sets any beside the name.
func retain(target, patch map[string]any) {
	for name, value := range patch {
		if name != "name" && value != nil {
			maps.DeleteFunc(target, func(existing string, _ any) bool {
				_, named := patch[existing]
				return !named
			})
			return
		}
	}
}

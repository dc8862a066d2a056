package mutator

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxDifferences is how many places a refusal names.
const maxDifferences = 10

// differences returns where two pods differ, as deep as their forms agree. Of
// a list with more elements it names the list.
func differences(before, after *corev1.Pod) []*field.Path {
	var places []*field.Path
	left, right := treeOf(before), treeOf(after)
	for _, key := range slices.Sorted(maps.Keys(right)) {
		places = append(places, treeDifferences(left[key], right[key], field.NewPath(key))...)
	}
	return places[:min(len(places), maxDifferences)]
}

// treeOf returns the JSON form of a pod or of a part of one.
func treeOf(typed any) map[string]any {
	text, err := json.Marshal(typed)
	if err != nil {
		// What is typed was decoded from JSON.
		panic("encode pod: " + err.Error())
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		panic("decode pod: " + err.Error())
	}
	return result
}

func treeDifferences(left, right any, path *field.Path) []*field.Path {
	if reflect.DeepEqual(left, right) {
		return nil
	}
	leftMap, leftIsMap := left.(map[string]any)
	rightMap, rightIsMap := right.(map[string]any)
	leftList, leftIsList := left.([]any)
	rightList, rightIsList := right.([]any)
	var places []*field.Path
	switch {
	case leftIsMap && rightIsMap:
		for _, key := range unionOfKeys(leftMap, rightMap) {
			places = append(places, treeDifferences(leftMap[key], rightMap[key], child(path, key))...)
		}
	case leftIsList && rightIsList && len(leftList) == len(rightList):
		for i := range leftList {
			places = append(places, treeDifferences(leftList[i], rightList[i], path.Index(i))...)
		}
	default:
		places = append(places, path)
	}
	return places
}

func unionOfKeys(left, right map[string]any) []string {
	keys := slices.Concat(slices.Collect(maps.Keys(left)), slices.Collect(maps.Keys(right)))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// child is a map's key in brackets where it would not read as a field.
func child(path *field.Path, key string) *field.Path {
	if strings.ContainsAny(key, "./") {
		return path.Key(key)
	}
	return path.Child(key)
}

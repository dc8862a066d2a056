package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	kjson "k8s.io/apimachinery/pkg/util/json"
)

// leaves are a pod's values by their places. Elements of lists that have a key,
// such as containers and mounts, are found by it, so that one that is added
// before others moves none.
type leaves map[string]string

// elementKeys are the fields that tell elements of lists apart, in the order of
// trial.
var elementKeys = []string{"mountPath", "name", "containerPort", "key"}

func flatten(raw json.RawMessage) (leaves, error) {
	var tree any
	if err := kjson.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("read the pod: %w", err)
	}
	found := leaves{}
	found.add("", tree)
	return found, nil
}

func (l leaves) add(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			l.add(memberPath(path, key), member)
		}
		if len(value) > 0 {
			return
		}
	case []any:
		for i, element := range value {
			l.add(elementPath(path, i, keysOf(element)), element)
		}
		if len(value) > 0 {
			return
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		// It was decoded from JSON.
		panic("encode a value: " + err.Error())
	}
	l[path] = string(text)
}

func memberPath(path, key string) string {
	return path + "\x00" + key
}

// elementPath names an element by the key that it has, or by its number.
func elementPath(path string, index int, keys map[string]string) string {
	for _, key := range elementKeys {
		if value, has := keys[key]; has {
			return path + "\x00[" + key + "=" + value + "]"
		}
	}
	return path + "\x00[" + strconv.Itoa(index) + "]"
}

func keysOf(element any) map[string]string {
	object, isObject := element.(map[string]any)
	if !isObject {
		return nil
	}
	keys := map[string]string{}
	for key, value := range object {
		if slices.Contains(elementKeys, key) {
			keys[key] = fmt.Sprint(value)
		}
	}
	return keys
}

package patch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// guarded are the lists that a mutation may only add to: the order of containers
// is that in which they run, and what a user wrote does not go.
var guarded = []string{"/spec/containers", "/spec/initContainers", "/spec/volumes"}

// maxMoves is how many elements of one list are moved one by one. Beyond it the
// list is written anew, so that no document costs the square of its length.
const maxMoves = 100

// element is one of a list, on its way from the document to the result.
type element struct {
	key    string
	raw    any
	before reflect.Value
}

// list compares lists of objects by their keys. An inserted or moved element
// shifts the others, whole, with all fields that they have.
func (d *differ) list(raw []any, before, after reflect.Value, path pointer, mergeKey string) error {
	unnamedPrefix := ""
	if path.String() == "/spec/containers" {
		unnamedPrefix = contract.JobContainerNamePrefix
	}
	beforeKeys, err := elementKeys(before, mergeKey, unnamedPrefix)
	if err != nil {
		return fmt.Errorf("patch %s: %w", path, err)
	}
	afterKeys, err := elementKeys(after, mergeKey, "")
	if err != nil {
		return fmt.Errorf("patch %s: %w", path, err)
	}
	elements := make([]element, before.Len())
	for i := range elements {
		elements[i] = element{beforeKeys[i], raw[i], before.Index(i)}
	}
	if elements, err = d.remove(elements, afterKeys, path); err != nil {
		return err
	}
	if after.Len() == 0 {
		d.emit("add", path, after.Interface())
		return nil
	}
	return d.arrange(elements, after, afterKeys, path)
}

// remove removes elements that the result does not have, from the end, so that
// the indexes of the others hold.
func (d *differ) remove(elements []element, afterKeys []string, path pointer) ([]element, error) {
	if isPrefix(elements, afterKeys) {
		return elements, nil
	}
	stays := make(map[string]bool, len(afterKeys))
	for _, key := range afterKeys {
		stays[key] = true
	}
	var kept []element
	for i, element := range slices.Backward(elements) {
		if stays[element.key] {
			kept = append(kept, element)
			continue
		}
		if err := d.permit(path, strconv.Quote(element.key), "removed"); err != nil {
			return nil, err
		}
		d.emit("remove", path.index(i), nil)
	}
	slices.Reverse(kept)
	return kept, nil
}

// isPrefix says whether the result begins with all elements, as it does for most
// lists that a mutation appends to.
func isPrefix(elements []element, keys []string) bool {
	if len(elements) > len(keys) {
		return false
	}
	for i, element := range elements {
		if element.key != keys[i] {
			return false
		}
	}
	return true
}

// arrange changes, inserts and moves elements, from the first to the last.
func (d *differ) arrange(elements []element, after reflect.Value, afterKeys []string, path pointer) error {
	moves := 0
	for i, key := range afterKeys {
		is := after.Index(i)
		from := slices.IndexFunc(elements[min(i, len(elements)):], func(element element) bool { return element.key == key })
		if from < 0 {
			d.emit("add", path.index(i), d.newElement(is, key, path))
			elements = slices.Insert(elements, i, element{key: key})
			continue
		}
		if from > 0 {
			if err := d.permit(path, strconv.Quote(key), "moved"); err != nil {
				return err
			}
			if moves++; moves > maxMoves {
				d.emit("add", path, after.Interface())
				return nil
			}
			moved := elements[i+from]
			d.emit("remove", path.index(i+from), nil)
			d.emit("add", path.index(i), moved.raw)
			elements = slices.Insert(slices.Delete(elements, i+from, i+from+1), i, moved)
		}
		if reflect.DeepEqual(elements[i].before.Addr().Interface(), is.Addr().Interface()) {
			continue
		}
		if err := d.element(elements[i], is, path.index(i)); err != nil {
			return err
		}
	}
	return nil
}

// element changes an element that the document has.
func (d *differ) element(element element, after reflect.Value, path pointer) error {
	raw, isObject := element.raw.(map[string]any)
	if !isObject {
		d.emit("replace", path, after.Interface())
		return nil
	}
	return d.fields(raw, element.before, after, path)
}

// permit returns an error where an element of a list has to stay.
func (d *differ) permit(path pointer, which, what string) error {
	if slices.Contains(guarded, path.String()) {
		return fmt.Errorf("patch %s: %s was %s", path, which, what)
	}
	return nil
}

// elementKeys returns what tells a list's elements apart: the merge key, or else
// all of the element. Several with one key are counted.
func elementKeys(list reflect.Value, mergeKey, unnamedPrefix string) ([]string, error) {
	var member []int
	for _, field := range fieldsOf(list.Type().Elem()) {
		if mergeKey != "" && field.name == mergeKey {
			member = field.index
		}
	}
	keys := make([]string, list.Len())
	seen := make(map[string]int, list.Len())
	for i := range keys {
		if member != nil {
			keys[i] = keyText(list.Index(i).FieldByIndex(member))
		} else {
			text, err := json.Marshal(list.Index(i).Addr().Interface())
			if err != nil {
				return nil, fmt.Errorf("encode element %d: %w", i, err)
			}
			keys[i] = string(text)
		}
		if keys[i] == "" && unnamedPrefix != "" {
			keys[i] = unnamedPrefix + strconv.Itoa(i)
		}
		key := keys[i]
		if seen[key]++; seen[key] > 1 {
			// No key has this byte.
			keys[i] += "\x00" + strconv.Itoa(seen[key])
		}
	}
	return keys, nil
}

func keyText(key reflect.Value) string {
	if key.Kind() == reflect.String {
		return key.String()
	}
	return fmt.Sprint(key.Interface())
}

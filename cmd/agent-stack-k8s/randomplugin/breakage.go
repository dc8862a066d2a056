package randomplugin

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// place is a value in a document, by what it is in.
type place struct {
	object map[string]any
	key    string
	list   []any
	index  int
}

func (p place) get() any {
	if p.object != nil {
		return p.object[p.key]
	}

	return p.list[p.index]
}

func (p place) set(value any) {
	if p.object != nil {
		p.object[p.key] = value

		return
	}
	p.list[p.index] = value
}

// places are all values of a document, in an order that is always the same.
func places(value any) []place {
	var found []place
	var visit func(any)
	add := func(one place) {
		found = append(found, one)
		visit(one.get())
	}
	visit = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				add(place{object: value, key: key})
			}
		case []any:
			for i := range value {
				add(place{list: value, index: i})
			}
		}
	}
	visit(value)

	return found
}

// wrong are values that few fields take.
var wrong = []any{
	"", "A_b", "x y", "/absolute", "../up", "$(X)", "UPPER", "a.b", "-1", "0", "1Gi", "1.5.2", "true", strings.Repeat("long", 80),
	-1.0, 0.0, 1.0, 1.5, 65536.0, 70000.0, 2147483648.0, 4e18, true, false, nil, map[string]any{}, []any{}, []any{"a"}, map[string]any{"name": "a"},
}

// breakage changes one thing of a plugin.
func breakage(random *rand.Rand, plugin map[string]any) {
	all := places(plugin)
	one := all[random.IntN(len(all))]
	switch choice := random.IntN(10); {
	case choice < 2 && one.object != nil:
		delete(one.object, one.key)
	case choice < 4 && one.object != nil:
		value := one.get()
		delete(one.object, one.key)
		one.object[mistyped(random, one.key)] = value
	case choice < 5:
		if object, isObject := one.get().(map[string]any); isObject {
			object[[]string{"bogus", "name", "value", "image", "enabled"}[random.IntN(5)]] = wrong[random.IntN(len(wrong))]

			return
		}
		one.set([]any{one.get()})
	case choice < 6:
		if list, isList := one.get().([]any); isList && len(list) > 0 {
			one.set(append(slices.Clone(list), clone(list[random.IntN(len(list))])))

			return
		}
		one.set(wrong[random.IntN(len(wrong))])
	case choice < 7:
		// What is right elsewhere.
		one.set(clone(all[random.IntN(len(all))].get()))
	default:
		one.set(clone(wrong[random.IntN(len(wrong))]))
	}
}

// mistyped is a word with a typing error.
func mistyped(random *rand.Rand, word string) string {
	if len(word) < 2 {
		return word + "s"
	}
	at := random.IntN(len(word) - 1)
	switch random.IntN(5) {
	case 0:
		return word[:at] + word[at+1:]
	case 1:
		return word[:at] + word[at+1:at+2] + word[at:at+1] + word[at+2:]
	case 2:
		return strings.ToLower(word) + "s"
	case 3:
		return strings.TrimSuffix(word, "s")
	default:
		return strings.ToUpper(word[:1]) + word[1:]
	}
}

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := map[string]any{}
		for key, inner := range value {
			object[key] = clone(inner)
		}

		return object
	case []any:
		list := make([]any, len(value))
		for i, inner := range value {
			list[i] = clone(inner)
		}

		return list
	default:
		return value
	}
}

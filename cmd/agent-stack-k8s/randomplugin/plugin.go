// Package randomplugin makes configurations of the kubernetes plugin from a seed,
// sound ones and broken ones, with which programs that judge them are compared.
package randomplugin

import (
	_ "embed"
	"encoding/json"
	"math/rand/v2"
)

// features are parts of a plugin, each sound by itself. All can be in one.
//
//go:embed features.json
var features []byte

// feature adds to the plugin, and to parts of it that are elsewhere each time: its
// podSpec, the first container, the first sidecar and the first init container.
type feature struct {
	Plugin    map[string]any `json:"Plugin"`
	Spec      map[string]any `json:"Spec"`
	Container map[string]any `json:"Container"`
	Sidecar   map[string]any `json:"Sidecar"`
	Init      map[string]any `json:"Init"`
}

// How many of a hundred plugins are left sound, and in how many of the others more
// than one thing is broken.
const (
	soundShare = 35
	moreShare  = 30
)

// Plugin returns the configuration that belongs to a seed, made of what JSON has.
// The same seed always gives the same.
func Plugin(seed uint64) map[string]any {
	random := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) //nolint:gosec // a test wants the same again
	plugin := sound(random)
	if random.IntN(100) < soundShare {
		return plugin
	}
	breakage(random, plugin)
	for random.IntN(100) < moreShare {
		breakage(random, plugin)
	}

	return plugin
}

// sound puts features together.
func sound(random *rand.Rand) map[string]any {
	var all []feature
	if err := json.Unmarshal(features, &all); err != nil {
		panic("read features.json: " + err.Error())
	}
	container := map[string]any{"image": "alpine:3", "command": []any{"echo hello"}}
	sidecar := map[string]any{"name": "service", "image": "redis:7"}
	initial := map[string]any{"name": "prepare", "image": "alpine:3", "command": []any{"true"}}
	spec, plugin := map[string]any{}, map[string]any{}
	withSidecar, withInit := false, false
	for _, one := range all {
		if random.IntN(4) > 0 {
			continue
		}
		merge(plugin, one.Plugin)
		merge(spec, one.Spec)
		merge(container, one.Container)
		merge(sidecar, one.Sidecar)
		merge(initial, one.Init)
		withSidecar = withSidecar || one.Sidecar != nil
		withInit = withInit || one.Init != nil
	}
	containers := []any{container}
	for range random.IntN(3) {
		containers = append(containers, map[string]any{"image": "busybox:1", "command": []any{"true"}})
	}
	spec["containers"] = containers
	if withInit {
		spec["initContainers"] = []any{initial}
	}
	if withSidecar {
		plugin["sidecars"] = []any{sidecar}
	}
	plugin["podSpec"] = spec

	return plugin
}

// merge adds an object to another; lists are put one behind the other.
func merge(target, added map[string]any) {
	for key, value := range added {
		switch existing := target[key].(type) {
		case map[string]any:
			if object, isObject := value.(map[string]any); isObject {
				merge(existing, object)

				continue
			}
		case []any:
			if list, isList := value.([]any); isList {
				target[key] = append(existing, list...)

				continue
			}
		}
		target[key] = value
	}
}

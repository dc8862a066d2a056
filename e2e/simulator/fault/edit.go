package fault

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// edits change an answer, decoded from JSON, and report whether there was
// anything to change.
var edits = map[Kind]func(f *Fault, answer map[string]any) bool{
	DuplicateEdges: func(_ *Fault, answer map[string]any) bool { return everyPage(answer, duplicate) },
	Vanish: func(f *Fault, answer map[string]any) bool {
		return everyPage(answer, func(page map[string]any) bool { return vanish(page, f.Jobs) })
	},
	Partial:     func(_ *Fault, answer map[string]any) bool { return partial(answer) },
	Errors:      func(_ *Fault, answer map[string]any) bool { return failed(answer) },
	Set:         set,
	UnknownEnum: set,
	QueuePaused: set,
}

// everyPage calls change with every object that has edges.
func everyPage(value any, change func(page map[string]any) bool) bool {
	changed := false
	switch value := value.(type) {
	case map[string]any:
		if _, ok := value["edges"].([]any); ok {
			changed = change(value)
		}
		for _, inner := range value {
			changed = everyPage(inner, change) || changed
		}
	case []any:
		for _, inner := range value {
			changed = everyPage(inner, change) || changed
		}
	}
	return changed
}

func duplicate(page map[string]any) bool {
	edges, _ := page["edges"].([]any)
	if len(edges) == 0 {
		return false
	}
	page["edges"] = slices.Concat(edges[:1], edges, edges[len(edges)-1:])
	return true
}

func vanish(page map[string]any, jobs []string) bool {
	edges, _ := page["edges"].([]any)
	kept := []any{}
	for i, entry := range edges {
		gone := len(jobs) == 0 && i == 0
		if edge, ok := entry.(map[string]any); ok {
			node, _ := edge["node"].(map[string]any)
			gone = gone || isOneOf(node, jobs)
		}
		if !gone {
			kept = append(kept, entry)
		}
	}
	missing := len(edges) - len(kept)
	if missing == 0 {
		return false
	}
	page["edges"] = kept
	if count, ok := page["count"].(json.Number); ok {
		if number, err := count.Int64(); err == nil {
			page["count"] = max(0, number-int64(missing))
		}
	}
	return true
}

// isOneOf recognizes a job by its uuid or its global id, whichever was asked for.
func isOneOf(node map[string]any, jobs []string) bool {
	uuid, _ := node["uuid"].(string)
	id, _ := node["id"].(string)
	return slices.ContainsFunc(jobs, func(job string) bool { return job == uuid || state.GlobalID("Job", job) == id })
}

// problem is what the simulator adds to errors; Buildkite's words vary.
const problem = "Something went wrong while executing your query. Please try again later."

func addError(answer map[string]any, at ...any) {
	entry := map[string]any{"message": problem}
	if len(at) > 0 {
		entry["path"] = at
	}
	list, _ := answer["errors"].([]any)
	answer["errors"] = append(list, entry)
}

func failed(answer map[string]any) bool {
	answer["data"] = nil
	addError(answer)
	return true
}

// partial drops every second node, beginning with the first.
func partial(answer map[string]any) bool {
	dropped := everyPage(answer["data"], func(page map[string]any) bool {
		edges, _ := page["edges"].([]any)
		for i := 0; i < len(edges); i += 2 {
			edges[i] = nil
		}
		return len(edges) > 0
	})
	if !dropped {
		data, _ := answer["data"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(data)) {
			if data[name] != nil {
				data[name] = nil
				addError(answer, name)
				return true
			}
		}
		return false
	}
	addError(answer, "edges")
	return true
}

func set(f *Fault, answer map[string]any) bool {
	var value any
	if err := json.Unmarshal(f.Value, &value); err != nil {
		return false
	}
	return setIn(answer, f.Field, value)
}

func setIn(in any, field string, value any) bool {
	changed := false
	switch in := in.(type) {
	case map[string]any:
		for name, inner := range in {
			if name == field {
				in[name], changed = value, true
				continue
			}
			changed = setIn(inner, field, value) || changed
		}
	case []any:
		for _, inner := range in {
			changed = setIn(inner, field, value) || changed
		}
	}
	return changed
}

package document

import (
	"strconv"
	"strings"
)

// Find follows a path such as containers[0].env[1].name, as Kubernetes writes
// them, or metadata.labels[example.com/a]. It returns the value there and the
// place to point at: the key of an object's entry, or a list's item. Where the
// path leads on to nothing, it is the last place that exists, and no value.
func (n *Node) Find(path string) (*Node, Position) {
	node, position := n, n.Position
	for _, step := range steps(path) {
		next, place := node.child(step)
		if next == nil {
			return nil, position
		}
		node, position = next, place
	}

	return node, position
}

// child follows one step.
func (n *Node) child(step string) (*Node, Position) {
	if n.Kind == List {
		index, err := strconv.Atoi(step)
		if err != nil || index < 0 || index >= len(n.Items) {
			return nil, Position{}
		}

		return n.Items[index], n.Items[index].Position
	}
	entry := n.Entry(step)
	if entry == nil {
		return nil, Position{}
	}

	return entry.Value, entry.Position
}

// steps cuts a path into keys and indices. A key in brackets may have dots.
func steps(path string) []string {
	var all []string
	for path != "" {
		if rest, found := strings.CutPrefix(path, "["); found {
			inside, after, _ := strings.Cut(rest, "]")
			all = append(all, inside)
			path = after

			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			all = append(all, path[:end])
		}
		path = path[end:]
	}

	return all
}

package structure

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

// matrix is a build matrix: a list, or an object with setup and adjustments.
// Source: https://buildkite.com/docs/pipelines/configure/workflows/build-matrix
var matrix = check{look: lookAtMatrix, schema: matrixSchema}

func lookAtMatrix(c *checker, value *document.Node, path string) {
	switch value.Kind {
	case document.List:
		c.elements(value, path)

		return
	case document.Scalar:
		if !unknown(value) {
			c.errorf(value.Position, finding.Matrix, path, "want a list of elements, or an object with setup, found %s", found(value))
		}

		return
	}
	c.fields(value, path, map[string]check{"setup": {}, "adjustments": {}}, "a matrix")
	setup := value.Get("setup")
	switch {
	case setup.IsNull():
		c.errorf(value.Position, finding.Matrix, path+".setup", "a matrix needs setup: a list of elements, or an object of such lists")

		return
	case setup.Kind == document.List:
		c.elements(setup, path+".setup")
	case setup.Kind == document.Object:
		for _, entry := range setup.Entries {
			here := path + ".setup." + entry.Key
			if !dimensionName.MatchString(entry.Key) && !unknown(&document.Node{Scalar: entry.Key}) {
				c.errorf(entry.Position, finding.Matrix, here, "a dimension's name has letters, digits and _ only; rename it")
			}
			if unknown(entry.Value) {
				continue
			}
			if entry.Value.Kind != document.List {
				c.errorf(entry.Value.Position, finding.Matrix, here, "want a list of elements, found %s", found(entry.Value))

				continue
			}
			c.elements(entry.Value, here)
		}
	default:
		c.errorf(setup.Position, finding.Matrix, path+".setup", "want a list of elements, or an object of such lists, found %s", found(setup))
	}
	c.adjustments(value, path)
}

var adjustmentKeys = map[string]check{"skip": skip, "soft_fail": softFail}

var dimensionName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

func (c *checker) elements(list *document.Node, path string) {
	if len(list.Items) == 0 {
		c.errorf(list.Position, finding.Matrix, path, "a dimension needs an element; add one, or remove the matrix")
	}
	for i, item := range list.Items {
		if item.Kind != document.Scalar || item.IsNull() {
			c.errorf(item.Position, finding.Matrix, path+"["+strconv.Itoa(i)+"]", "want text, a number or a boolean, found %s", item.What())
		}
	}
}

func (c *checker) adjustments(value *document.Node, path string) {
	list := value.Get("adjustments")
	if list.IsNull() || unknown(list) {
		return
	}
	path += ".adjustments"
	if list.Kind != document.List {
		c.errorf(list.Position, finding.Matrix, path, "want a list of adjustments, found %s", found(list))

		return
	}
	names, known := dimensions(value)
	for i, item := range list.Items {
		here := path + "[" + strconv.Itoa(i) + "]"
		if item.Kind != document.Object {
			c.errorf(item.Position, finding.Matrix, here, "want an object with the key with, found %s", found(item))

			continue
		}
		// Other keys override those of the step.
		for _, entry := range item.Entries {
			if look := adjustmentKeys[entry.Key].look; look != nil && !entry.Value.IsNull() {
				look(c, entry.Value, here+"."+entry.Key)
			}
		}
		with := item.Get("with")
		if with.IsNull() {
			c.errorf(item.Position, finding.Matrix, here+".with", "say with which elements the adjustment is about")

			continue
		}
		if known {
			c.combination(with, here+".with", names)
		}
	}
}

// combination checks that an adjustment names every dimension, and no other.
func (c *checker) combination(with *document.Node, path string, names map[string]bool) {
	if names[""] {
		if with.Kind == document.Object {
			c.errorf(with.Position, finding.Matrix, path, "the matrix has no named dimensions; want an element, found an object")
		}

		return
	}
	all := strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	if with.Kind != document.Object {
		c.errorf(with.Position, finding.Matrix, path, "want an element of each of the dimensions %s, found %s", all, found(with))

		return
	}
	for _, entry := range with.Entries {
		if !names[entry.Key] {
			c.errorf(entry.Position, finding.Matrix, path+"."+entry.Key, "the matrix has no dimension %q; have %s", entry.Key, all)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if with.Entry(name) == nil {
			c.errorf(with.Position, finding.Matrix, path, "give an element of the dimension %q, too: an adjustment is about one combination", name)
		}
	}
}

// token is what stands for an element of the matrix.
var token = regexp.MustCompile(`\{\{\s*matrix(?:\.([^\s}]+))?\s*\}\}`)

// matrixUse looks for elements of dimensions that there are not.
func (c *checker) matrixUse(node *document.Node, path string) {
	names, known := dimensions(node.Get("matrix"))
	if !known && !node.Get("matrix").IsNull() {
		return
	}
	eachText(node, path, func(text *document.Node, here string) {
		if strings.HasPrefix(here, path+".matrix") {
			return
		}
		for _, match := range token.FindAllStringSubmatch(text.Text(), -1) {
			switch {
			case !known:
				c.warnf(text.Position, finding.Matrix, here, "%s stays as it is: the step has no matrix; add one, or remove it", match[0])
			case !names[match[1]] && names[""]:
				c.errorf(text.Position, finding.Matrix, here, "the matrix has no named dimensions; write {{matrix}}")
			case !names[match[1]]:
				c.errorf(text.Position, finding.Matrix, here, "the matrix has no dimension %q; have %s", match[1], strings.Join(slices.Sorted(maps.Keys(names)), ", "))
			}
		}
	})
}

// eachText visits all texts below a node.
func eachText(node *document.Node, path string, visit func(*document.Node, string)) {
	for _, entry := range node.Entries {
		eachText(entry.Value, path+"."+entry.Key, visit)
	}
	for i, item := range node.Items {
		eachText(item, fmt.Sprintf("%s[%d]", path, i), visit)
	}
	if _, isText := node.Scalar.(string); isText {
		visit(node, path)
	}
}

package structure

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
)

// dependency is one name in a step's depends_on.
type dependency struct {
	document.Position

	path string
	// from are the keys of the step and of the groups around it.
	from []string
	to   string
}

// keyNames are how a step may call its key.
var keyNames = []string{"key", "id", "identifier"}

func keyOf(node *document.Node) string {
	for _, name := range keyNames {
		if key := node.Get(name).Text(); key != "" {
			return key
		}
	}

	return ""
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// register notes a step's key, which no other step may have.
func (c *checker) register(node *document.Node, path string) {
	for _, name := range keyNames {
		entry := node.Entry(name)
		if entry == nil || entry.Value.Text() == "" {
			continue
		}
		key, here := entry.Value.Text(), path+"."+name
		if pipeline.Interpolated(key) {
			// Any step may be meant by any name then.
			c.keys[anyKey] = place{}

			return
		}
		if uuid.MatchString(key) {
			c.errorf(entry.Value.Position, finding.StepKey, here, "a key may not look like a UUID, which names a step by itself; rename it")
		}
		if other, taken := c.keys[key]; taken {
			c.errorf(entry.Value.Position, finding.StepKey, here, "%s in line %d has the key %q, too; rename one of them", other.path, other.Line, key)

			return
		}
		c.keys[key] = place{Position: entry.Value.Position, path: path}

		return
	}
}

// anyKey stands for a key that is not known yet.
const anyKey = "\x00"

// depends notes what a step depends on, to be looked up when all keys are known.
func (c *checker) depends(node *document.Node, path string) {
	value := node.Get("depends_on")
	if value.IsNull() {
		return
	}
	from := slices.DeleteFunc(append(slices.Clone(c.around), keyOf(node)), func(key string) bool { return key == "" })
	add := func(name *document.Node, here string) {
		if text := name.Text(); name.Kind == document.Scalar && text != "" && !pipeline.Interpolated(text) {
			c.dependencies = append(c.dependencies, dependency{Position: name.Position, path: here, from: from, to: text})
		}
	}
	path += ".depends_on"
	if value.Kind == document.Scalar {
		add(value, path)
	}
	for i, item := range value.Items {
		here := path + "[" + strconv.Itoa(i) + "]"
		if item.Kind == document.Scalar {
			add(item, here)
		}
		if step := item.Get("step"); step != nil {
			add(step, here+".step")
		}
	}
}

// dependsOn is null, a name, or a list of names and of objects.
var dependsOn = check{look: lookAtDependsOn, schema: anyOf(scalarSchema, listOf(anyOf(scalarSchema, required(closed(dependencyKeys), "step"))))}

var dependencyKeys = map[string]check{"step": text, "allow_failure": flag}

func lookAtDependsOn(c *checker, value *document.Node, path string) {
	if value.Kind == document.Scalar {
		return
	}
	if value.Kind != document.List {
		c.errorf(value.Position, finding.Dependency, path, "want a step's key, or a list of keys and of objects with step and allow_failure, found %s", found(value))

		return
	}
	for i, item := range value.Items {
		here := path + "[" + strconv.Itoa(i) + "]"
		switch {
		case item.Kind == document.Object:
			c.fields(item, here, dependencyKeys, "an entry of depends_on")
			if item.Get("step").IsNull() {
				c.errorf(item.Position, finding.Dependency, here+".step", "name the step that this one waits for")
			}
		case item.Kind == document.List || item.IsNull():
			c.errorf(item.Position, finding.Dependency, here, "want a step's key, found %s", found(item))
		}
	}
}

// checkDependencies looks all names up.
func (c *checker) checkDependencies() {
	_, open := c.keys[anyKey]
	names := make([]string, 0, len(c.keys))
	for key := range c.keys {
		names = append(names, key)
	}
	for _, one := range c.dependencies {
		_, exists := c.keys[one.to]
		switch {
		case slices.Contains(one.from, one.to):
			c.errorf(one.Position, finding.Dependency, one.path, "a step cannot wait for itself, or for the group that it is in; remove it")
		case !exists && !open:
			c.missing(one, names)
		}
	}
	c.checkCircles()
}

// manyKeys are so many that no search for the nearest is worth its time.
const manyKeys = 1000

func (c *checker) missing(one dependency, names []string) {
	advice := "give that step the key, or make sure that an earlier upload of the build has it"
	if len(names) < manyKeys {
		if near := strict.Nearest(one.to, names); near != "" {
			advice = "did you mean " + strconv.Quote(near) + "?"
		}
	}
	c.warnf(one.Position, finding.Dependency, one.path, "no step of this file has the key %q; %s", one.to, advice)
}

// checkCircles follows the dependencies from step to step, each once, and reports
// those that lead back to a step on the way.
func (c *checker) checkCircles() {
	after := map[string][]dependency{}
	var starts []string
	for _, one := range c.dependencies {
		if slices.Contains(one.from, one.to) {
			continue
		}
		for _, from := range one.from {
			if after[from] == nil {
				starts = append(starts, from)
			}
			after[from] = append(after[from], one)
		}
	}
	done := map[string]bool{}
	onWay := map[string]bool{}
	var way []string
	var follow func(key string)
	follow = func(key string) {
		if done[key] {
			return
		}
		onWay[key] = true
		way = append(way, key)
		for _, next := range after[key] {
			if onWay[next.to] {
				circle := append(slices.Clone(way[slices.Index(way, next.to):]), next.to)
				c.errorf(next.Position, finding.Dependency, next.path,
					"the steps wait for each other and none ever runs: %s; break the circle", strings.Join(circle, " waits for "))

				continue
			}
			follow(next.to)
		}
		way = way[:len(way)-1]
		onWay[key] = false
		done[key] = true
	}
	for _, start := range starts {
		follow(start)
	}
}

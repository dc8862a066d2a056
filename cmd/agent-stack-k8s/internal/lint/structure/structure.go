// Package structure checks a pipeline's own keys: what Buildkite, or the agent
// that uploads the file, would refuse or read otherwise than it looks. What
// variables stand in for is not known, and so not checked.
package structure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
)

// Check reports what is wrong with a pipeline beside its kubernetes plugins. The
// root is one that pipeline.Steps takes.
func Check(root *document.Node) []finding.Finding {
	c := &checker{keys: map[string]place{}}
	steps := root
	if root.Kind == document.Object {
		steps = root.Get("steps")
		for _, entry := range root.Entries {
			// Other keys are where people keep what they give an &anchor.
			if look := pipelineKeys[entry.Key].look; look != nil && !entry.Value.IsNull() {
				look(c, entry.Value, entry.Key)
			}
		}
	}
	if len(steps.Items) == 0 {
		c.errorf(steps.Position, finding.StepType, "steps", "there are no steps; give at least one, such as {command: make}")
	}
	c.list(steps, "steps", pipeline.UnknownStep)
	c.checkDependencies()

	return c.findings
}

type checker struct {
	findings     []finding.Finding
	keys         map[string]place
	dependencies []dependency
	// nodes are the steps that the current one is in, outermost first.
	around []string
}

// place is where a key was given, and to what.
type place struct {
	document.Position

	path string
}

func (c *checker) addf(severity finding.Severity, at document.Position, rule finding.Rule, path, format string, arguments ...any) {
	c.findings = append(c.findings, finding.Finding{
		Position: at, Severity: severity, Rule: rule, Path: path, Text: fmt.Sprintf(format, arguments...),
	})
}

func (c *checker) errorf(at document.Position, rule finding.Rule, path, format string, arguments ...any) {
	c.addf(finding.Error, at, rule, path, format, arguments...)
}

func (c *checker) warnf(at document.Position, rule finding.Rule, path, format string, arguments ...any) {
	c.addf(finding.Warning, at, rule, path, format, arguments...)
}

// list checks the steps of a pipeline or of a group.
func (c *checker) list(steps *document.Node, path string, within pipeline.Type) {
	if steps == nil || steps.Kind != document.List {
		return
	}
	for i, node := range steps.Items {
		c.step(node, fmt.Sprintf("%s[%d]", path, i), within)
	}
}

const typeAdvice = "give it one of command, plugins, wait, block, input, trigger and group"

func (c *checker) step(node *document.Node, path string, within pipeline.Type) {
	if word, isText := node.Scalar.(string); isText && node.Kind == document.Scalar {
		c.word(node, word, path)

		return
	}
	if node.Kind != document.Object {
		c.errorf(node.Position, finding.StepType, path, "want a step, found %s; %s", node.What(), typeAdvice)

		return
	}
	inner, nestedIn := pipeline.Nested(node)
	kind, by := pipeline.TypeOf(inner)
	if nestedIn != "" {
		path += "." + nestedIn
		if kind, _ = pipeline.TypeOf(&document.Node{Scalar: nestedIn}); by == "" {
			by = nestedIn
		}
	}
	if kind == pipeline.UnknownStep {
		c.unknown(inner, path)

		return
	}
	if kind == pipeline.GroupStep && within == pipeline.GroupStep {
		c.errorf(inner.Position, finding.StepType, path, "a group cannot be in another group; move its steps up")

		return
	}
	c.oneType(inner, path, kind, by)
	c.fields(inner, path, kinds[kind], "a "+string(kind)+" step")
	c.register(inner, path)
	c.depends(inner, path)
	switch kind {
	case pipeline.GroupStep:
		c.group(inner, path)
	case pipeline.CommandStep:
		c.command(inner, path)
	}
}

// word checks a step that is a single word.
func (c *checker) word(node *document.Node, word, path string) {
	if pipeline.Interpolated(word) {
		return
	}
	words := []string{"block", "input", "wait", "waiter"}
	if slices.Contains(words, word) {
		return
	}
	advice := "a command is written {command: …}"
	if near := strict.Nearest(word, words); near != "" {
		advice = fmt.Sprintf("did you mean %q?", near)
	}
	c.errorf(node.Position, finding.StepType, path, "%q is no step; of single words wait, block and input are; %s", word, advice)
}

// unknown says what a step of no type may have been meant to be.
func (c *checker) unknown(node *document.Node, path string) {
	if named := node.Entry("type"); named != nil {
		if !pipeline.Interpolated(named.Value.Text()) {
			c.errorf(named.Position, finding.StepType, path+".type", "there is no type %q; want command, wait, block, input, trigger or group, or remove the key", named.Value.Text())
		}

		return
	}
	for _, entry := range node.Entries {
		if near := strict.Nearest(entry.Key, []string{"command", "commands", "plugins", "wait", "block", "input", "trigger", "group"}); near != "" {
			c.errorf(entry.Position, finding.StepType, path+"."+entry.Key, "a step needs a key that says what it is; did you mean %q?", near)

			return
		}
	}
	if node.Entry("steps") != nil {
		c.errorf(node.Position, finding.StepType, path, "a list of steps inside a step is a group; give it the key group with a label, or null")

		return
	}
	c.errorf(node.Position, finding.StepType, path, "nothing says what kind of step this is; %s", typeAdvice)
}

// oneType refuses a step that is of two types.
func (c *checker) oneType(node *document.Node, path string, kind pipeline.Type, by string) {
	if by == "" {
		return
	}
	for _, entry := range node.Entries {
		if _, known := kinds[kind][entry.Key]; known || entry.Key == by {
			continue
		}
		if other, _ := pipeline.TypeOf(&document.Node{Scalar: entry.Key}); other != pipeline.UnknownStep && other != kind {
			c.errorf(entry.Position, finding.StepType, path+"."+entry.Key, "the step is a %s step by its key %s, and a %s step by this one; make two steps of it", kind, by, other)
		}
	}
}

// fields checks an object's keys and their values. A key without a value counts
// as left out.
func (c *checker) fields(node *document.Node, path string, known map[string]check, of string) {
	for _, entry := range node.Entries {
		here := path + "." + entry.Key
		check, exists := known[entry.Key]
		if !exists {
			c.unknownKey(entry, here, known, of)

			continue
		}
		if check.look != nil && !entry.Value.IsNull() {
			check.look(c, entry.Value, here)
		}
	}
}

func (c *checker) unknownKey(entry document.Entry, path string, known map[string]check, of string) {
	if pipeline.Interpolated(entry.Key) {
		return
	}
	if other, _ := pipeline.TypeOf(&document.Node{Scalar: entry.Key}); other != pipeline.UnknownStep && strings.HasSuffix(of, " step") {
		// That is the step's type, about which there is a finding.
		return
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	advice := "remove it"
	if near := nearest(entry.Key, names); near != "" {
		advice = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) <= 8 {
		slices.Sort(names)
		advice = "want " + strings.Join(names, ", ")
	}
	c.errorf(entry.Position, finding.UnknownKey, path, "%s has no such key; %s", of, advice)
}

// nearest returns the name that a key is a typing error of, or the beginning.
func nearest(key string, names []string) string {
	if near := strict.Nearest(key, names); near != "" {
		return near
	}
	for _, name := range names {
		if len(key) > 3 && strings.HasPrefix(name, key+"_") {
			return name
		}
	}

	return ""
}

func (c *checker) group(node *document.Node, path string) {
	steps := node.Entry("steps")
	switch {
	case steps == nil || steps.Value.IsNull():
		c.errorf(node.Position, finding.StepType, path, "the group has no steps; give them under the key steps")
	case steps.Value.Kind != document.List:
		c.errorf(steps.Value.Position, finding.StepValue, path+".steps", "want a list of steps, found %s", steps.Value.What())
	case len(steps.Value.Items) == 0:
		c.errorf(steps.Position, finding.StepType, path+".steps", "the group has no steps; give at least one, or remove the group")
	default:
		c.around = append(c.around, keyOf(node))
		c.list(steps.Value, path+".steps", pipeline.GroupStep)
		c.around = c.around[:len(c.around)-1]
	}
}

package structure

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
)

// command checks what keys of a command step have to do with each other.
func (c *checker) command(node *document.Node, path string) {
	c.concurrency(node, path)
	c.matrixUse(node, path)
}

func (c *checker) concurrency(node *document.Node, path string) {
	for _, pair := range []struct{ key, needs string }{
		{"concurrency", "concurrency_group"}, {"concurrency_group", "concurrency"}, {"concurrency_method", "concurrency_group"},
	} {
		if entry := node.Entry(pair.key); entry != nil && !entry.Value.IsNull() && node.Get(pair.needs).IsNull() {
			c.errorf(entry.Position, finding.StepValue, path+"."+pair.key, "it has no effect without %s; add that, or remove this", pair.needs)
		}
	}
}

// retry is the rules by which a job is run again.
// Source: https://buildkite.com/docs/pipelines/configure/retry
var retry = objectOf("retry", map[string]check{
	"automatic": {look: lookAtAutomaticRetry, schema: anyOf(flagSchema, closed(retryRule), listOf(closed(retryRule)))},
	"manual":    {look: lookAtManualRetry, schema: anyOf(flagSchema, closed(manualRetry))},
})

// objectOf is an object with these keys and no others.
func objectOf(of string, known map[string]check) check {
	return check{schema: closed(known), look: func(c *checker, value *document.Node, path string) {
		if !isObject(value) {
			object.look(c, value, path)

			return
		}
		c.fields(value, path, known, of)
	}}
}

func lookAtAutomaticRetry(c *checker, value *document.Node, path string) {
	switch {
	case unknown(value) || isFlag(value):
	case value.Kind == document.List:
		for i, item := range value.Items {
			here := path + "[" + strconv.Itoa(i) + "]"
			if item.Kind != document.Object {
				c.errorf(item.Position, finding.StepValue, here, "want a rule such as {exit_status: 1, limit: 2}, found %s", found(item))

				continue
			}
			c.fields(item, here, retryRule, "a retry rule")
		}
	case value.Kind == document.Object:
		c.fields(value, path, retryRule, "a retry rule")
	default:
		c.errorf(value.Position, finding.StepValue, path, "want true, false, a rule or a list of rules, found %s", found(value))
	}
}

var retryRule = map[string]check{
	"exit_status": {look: lookAtExitStatuses, schema: anyOf(exitStatusSchema, listOf(anyOf(exitStatusSchema, null)))},
	"limit": want("a number of retries from 0 to 10", func(value *document.Node) bool { return isNumberFrom(0)(value) && !isNumberFrom(11)(value) },
		anyOf(Schema{"type": "integer", "minimum": 0, "maximum": 10}, Schema{"type": "string", "pattern": `^([0-9]|10)$`}, variable)),
	"signal":        texts,
	"signal_reason": {look: lookAtSignalReasons, schema: texts.schema},
}

var manualRetry = map[string]check{"allowed": flag, "permit_on_passed": flag, "reason": text}

func lookAtExitStatuses(c *checker, value *document.Node, path string) {
	if value.Kind != document.List {
		lookAtExitStatus(c, value, path)

		return
	}
	for i, item := range value.Items {
		lookAtExitStatus(c, item, path+"["+strconv.Itoa(i)+"]")
	}
}

// reasons are why an agent says that it ended a process. There may be new ones.
var reasons = []string{
	"*", "none", "agent_refused", "agent_stop", "agent_incompatible", "cancel", "process_run_error", "signature_rejected", "stack_error",
}

func lookAtSignalReasons(c *checker, value *document.Node, path string) {
	items := value.Items
	if value.Kind != document.List {
		items = []*document.Node{value}
	}
	for _, item := range items {
		reason := item.Text()
		known := item.Kind == document.Scalar && strings.ToLower(reason) == reason
		for _, one := range reasons {
			if known && reason == one || unknown(item) {
				return
			}
		}
		if item.Kind != document.Scalar {
			texts.look(c, value, path)

			return
		}
		advice := "known are " + strings.Join(reasons, ", ")
		if near := strict.Nearest(reason, append([]string{}, reasons...)); near != "" {
			advice = fmt.Sprintf("did you mean %q?", near)
		}
		c.warnf(item.Position, finding.StepValue, path, "%q is no signal_reason that is known, and the rule matches nothing else; %s", reason, advice)
	}
}

func lookAtManualRetry(c *checker, value *document.Node, path string) {
	switch {
	case unknown(value) || isFlag(value):
	case value.Kind == document.Object:
		c.fields(value, path, manualRetry, "retry.manual")
	default:
		c.errorf(value.Position, finding.StepValue, path, "want true, false, or an object with allowed, permit_on_passed and reason, found %s", found(value))
	}
}

// Fields of a block or input step.
var (
	fields    = check{look: lookAtFields, schema: listOf(anyOf(required(closed(textField), "text", "key"), required(closed(selectField), "select", "key", "options")))}
	textField = map[string]check{"text": text, "key": text, "hint": text, "required": flag, "default": texts, "format": text}
	// The options are looked at with the field.
	selectField = map[string]check{
		"select": text, "key": text, "hint": text, "required": flag, "default": texts, "multiple": flag,
		"options": {schema: Schema{"type": "array", "minItems": 1}},
	}
)

// lookAtFields checks what a block or input step asks for.
func lookAtFields(c *checker, value *document.Node, path string) {
	if value.Kind != document.List {
		c.errorf(value.Position, finding.StepValue, path, "want a list of fields, found %s", found(value))

		return
	}
	for i, item := range value.Items {
		here := path + "[" + strconv.Itoa(i) + "]"
		known := textField
		switch {
		case item.Kind != document.Object || item.Entry("text") == nil && item.Entry("select") == nil:
			c.errorf(item.Position, finding.StepValue, here, "want a field with the key text or select")

			continue
		case item.Entry("select") != nil:
			known = selectField
			if options := item.Get("options"); options == nil || options.Kind != document.List || len(options.Items) == 0 {
				c.errorf(item.Position, finding.StepValue, here+".options", "a select field needs a list of options, each with label and value")
			}
		}
		if item.Get("key").IsNull() {
			c.errorf(item.Position, finding.StepValue, here+".key", "a field needs a key, under which the answer is kept as meta-data")
		}
		c.fields(item, here, known, "a field")
	}
}

var triggeredBuild = objectOf("build", map[string]check{"branch": text, "commit": text, "message": text, "env": env, "meta_data": object})

// dimensions are the names of a matrix's dimensions; "" is that of a list.
func dimensions(value *document.Node) (map[string]bool, bool) {
	setup := value
	if value != nil && value.Kind == document.Object {
		setup = value.Get("setup")
	}
	switch {
	case setup.IsNull():
		return nil, false
	case setup.Kind == document.List:
		return map[string]bool{"": true}, true
	case setup.Kind != document.Object:
		return nil, false
	}
	names := map[string]bool{}
	for _, entry := range setup.Entries {
		if pipeline.Interpolated(entry.Key) {
			return nil, false
		}
		names[entry.Key] = true
	}

	return names, true
}

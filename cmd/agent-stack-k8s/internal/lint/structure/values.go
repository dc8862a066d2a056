package structure

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
)

// check is what the value of a key may be: as code, and as a JSON Schema, for
// which null is added. The zero value takes everything.
type check struct {
	// look reports what is wrong with a value that is not null.
	look func(c *checker, value *document.Node, path string)
	// schema is any where it is nil.
	schema Schema
}

// unknown says that a value depends on variables.
func unknown(value *document.Node) bool {
	return value.Kind == document.Scalar && pipeline.Interpolated(value.Text())
}

func want(what string, accepts func(*document.Node) bool, schema Schema) check {
	return check{schema: schema, look: func(c *checker, value *document.Node, path string) {
		if !unknown(value) && !accepts(value) {
			c.errorf(value.Position, finding.StepValue, path, "want %s, found %s", what, found(value))
		}
	}}
}

// found names a value, by itself if it is short.
func found(value *document.Node) string {
	if text := value.Text(); value.Kind == document.Scalar && text != "" && len(text) < 40 {
		return strconv.Quote(text)
	}

	return value.What()
}

func isScalar(value *document.Node) bool { return value.Kind == document.Scalar }

func isFlag(value *document.Node) bool {
	return value.Kind == document.Scalar && (value.Text() == "true" || value.Text() == "false")
}

func isObject(value *document.Node) bool { return value.Kind == document.Object }

// isNumberFrom accepts whole numbers, which may be in quotes.
func isNumberFrom(least int64) func(*document.Node) bool {
	return func(value *document.Node) bool {
		if value.Kind != document.Scalar {
			return false
		}
		number, err := strconv.ParseInt(value.Text(), 10, 64)

		return err == nil && number >= least
	}
}

func isTexts(value *document.Node) bool {
	if value.Kind != document.List {
		return isScalar(value)
	}
	for _, item := range value.Items {
		if !isScalar(item) {
			return false
		}
	}

	return true
}

func isTextOrFlag(value *document.Node) bool {
	_, isNumber := value.Scalar.(json.Number)

	return isScalar(value) && !isNumber
}

var (
	text     = want("text", isScalar, scalarSchema)
	texts    = want("text or a list of texts", isTexts, anyOf(scalarSchema, listOf(anyOf(scalarSchema, null))))
	flag     = want("true or false", isFlag, flagSchema)
	object   = want("an object", isObject, anyOf(Schema{"type": "object"}, variable))
	count    = want("a whole number from 0", isNumberFrom(0), numberSchema(0))
	positive = want("a whole number from 1", isNumberFrom(1), numberSchema(1))
	number   = want("a whole number", isNumberFrom(-1<<62), anyOf(Schema{"type": "integer"}, Schema{"type": "string", "pattern": `^[-+]?[0-9]+$`}, variable))
	skip     = want("true, false or the reason as text", isTextOrFlag, Schema{"type": []string{"boolean", "string"}})
	env      = check{look: lookAtEnv, schema: anyOf(variable, Schema{
		"type": "object", "propertyNames": Schema{"pattern": `^[^= ]+$`}, "additionalProperties": anyOf(scalarSchema, null),
	})}
	agents = check{look: lookAtAgents, schema: anyOf(variable,
		Schema{"type": "object", "additionalProperties": anyOf(scalarSchema, null)}, listOf(Schema{"type": "string"}))}
	softFail = check{look: lookAtSoftFail, schema: anyOf(flagSchema, listOf(closed(map[string]check{"exit_status": exitStatus})))}
	// exitStatus is a number or "*".
	exitStatus = check{look: lookAtExitStatus, schema: exitStatusSchema}
)

func oneOf(values ...string) check {
	return check{schema: anyOf(Schema{"enum": values}, variable), look: func(c *checker, value *document.Node, path string) {
		for _, one := range values {
			if value.Kind == document.Scalar && value.Text() == one {
				return
			}
		}
		if unknown(value) {
			return
		}
		advice := "want one of " + strings.Join(values, ", ")
		if near := strict.Nearest(value.Text(), append([]string{}, values...)); near != "" {
			advice = "did you mean " + strconv.Quote(near) + "?"
		}
		c.errorf(value.Position, finding.StepValue, path, "%s is not possible here; %s", found(value), advice)
	}}
}

// lookAtEnv checks variables: an object of texts.
func lookAtEnv(c *checker, value *document.Node, path string) {
	if unknown(value) {
		return
	}
	if value.Kind != document.Object {
		advice := ""
		if value.Kind == document.List {
			advice = "; write NAME: value, without dashes"
		}
		c.errorf(value.Position, finding.StepValue, path, "want an object of variables, found %s%s", value.What(), advice)

		return
	}
	for _, entry := range value.Entries {
		here := path + "." + entry.Key
		switch {
		case entry.Value.Kind != document.Scalar:
			c.errorf(entry.Value.Position, finding.StepValue, here, "want text, found %s; a variable's value is one text", entry.Value.What())
		case strings.ContainsAny(entry.Key, "= ") || entry.Key == "":
			c.errorf(entry.Position, finding.StepValue, here, "no variable can be called %q; write NAME: value", entry.Key)
		}
	}
}

// lookAtAgents checks query rules: {queue: a} or ["queue=a"].
func lookAtAgents(c *checker, value *document.Node, path string) {
	if unknown(value) {
		return
	}
	switch value.Kind {
	case document.Object:
		for _, entry := range value.Entries {
			if entry.Value.Kind != document.Scalar {
				c.errorf(entry.Value.Position, finding.StepValue, path+"."+entry.Key, "want text, found %s; a tag has one value", entry.Value.What())
			}
		}
	case document.List:
		for i, item := range value.Items {
			if _, isText := item.Scalar.(string); item.Kind != document.Scalar || !isText {
				c.errorf(item.Position, finding.StepValue, path+"["+strconv.Itoa(i)+"]", "want a rule such as \"queue=kubernetes\", found %s", item.What())
			}
		}
	default:
		c.errorf(value.Position, finding.StepValue, path, "want tags such as {queue: kubernetes}, found %s", found(value))
	}
}

// lookAtSoftFail checks true, false, or a list of exit statuses.
func lookAtSoftFail(c *checker, value *document.Node, path string) {
	if unknown(value) || isFlag(value) {
		return
	}
	if value.Kind != document.List {
		c.errorf(value.Position, finding.StepValue, path, "want true, false, or a list such as [{exit_status: 1}], found %s", found(value))

		return
	}
	for i, item := range value.Items {
		here := path + "[" + strconv.Itoa(i) + "]"
		if item.Kind != document.Object {
			c.errorf(item.Position, finding.StepValue, here, "want an object such as {exit_status: 1}, found %s", found(item))

			continue
		}
		c.fields(item, here, map[string]check{"exit_status": exitStatus}, "an entry of soft_fail")
	}
}

// lookAtExitStatus checks a number or "*".
func lookAtExitStatus(c *checker, value *document.Node, path string) {
	if unknown(value) || value.Text() == "*" {
		return
	}
	status, err := strconv.Atoi(value.Text())
	if value.Kind != document.Scalar || err != nil || status < -1 || status > 255 {
		c.errorf(value.Position, finding.StepValue, path, "want an exit status from -1 to 255, or \"*\", found %s", found(value))
	}
}

package structure

import (
	"maps"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
)

// Schema is a JSON Schema, of the 2020-12 dialect.
type Schema = map[string]any

// variablePattern is in text that is something else once it is filled in.
const variablePattern = `\$[A-Za-z_{]|\{\{`

var (
	null         = Schema{"type": "null"}
	variable     = Schema{"type": "string", "pattern": variablePattern}
	scalarSchema = Schema{"type": []string{"string", "number", "boolean"}}
	flagSchema   = anyOf(Schema{"type": "boolean"}, Schema{"enum": []string{"true", "false"}}, variable)

	exitStatusSchema = anyOf(Schema{"type": "integer", "minimum": -1, "maximum": 255}, Schema{"const": "*"},
		Schema{"type": "string", "pattern": `^(-1|[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$`}, variable)
	elementsSchema = Schema{"type": "array", "minItems": 1, "items": scalarSchema}
	matrixSchema   = anyOf(variable, elementsSchema, Schema{
		"type": "object", "required": []string{"setup"}, "additionalProperties": false,
		"properties": Schema{
			"setup": anyOf(elementsSchema, Schema{
				"type": "object", "propertyNames": anyOf(Schema{"pattern": `^[A-Za-z0-9_]+$`}, variable), "additionalProperties": anyOf(elementsSchema, variable),
			}),
			"adjustments": anyOf(null, variable, listOf(Schema{
				"type": "object", "required": []string{"with"},
				"properties": Schema{"skip": nullable(skip.schema), "soft_fail": nullable(softFail.schema)},
			})),
		},
	})
)

func anyOf(schemas ...Schema) Schema { return Schema{"anyOf": schemas} }

func listOf(items Schema) Schema { return Schema{"type": "array", "items": items} }

func nullable(schema Schema) Schema { return anyOf(schema, null) }

func numberSchema(minimum int) Schema {
	pattern := `^[-+]?0*[1-9][0-9]*$`
	if minimum == 0 {
		pattern = `^[-+]?[0-9]+$`
	}

	return anyOf(Schema{"type": "integer", "minimum": minimum}, Schema{"type": "string", "pattern": pattern}, variable)
}

func required(schema Schema, keys ...string) Schema {
	with := maps.Clone(schema)
	with["required"] = keys

	return with
}

// closed is an object with these keys and no others but those that are variables.
func closed(known map[string]check) Schema {
	properties := Schema{}
	for name, check := range known {
		if check.schema == nil {
			properties[name] = true

			continue
		}
		properties[name] = nullable(check.schema)
	}

	return Schema{"type": "object", "properties": properties, "patternProperties": Schema{variablePattern: true}, "additionalProperties": false}
}

// Titles of the definitions, for editors.
var titles = map[pipeline.Type]string{
	pipeline.CommandStep: "A step that runs commands on an agent",
	pipeline.WaitStep:    "A step that waits until all steps before it have passed",
	pipeline.BlockStep:   "A step that waits until somebody unblocks it",
	pipeline.InputStep:   "A step that asks for values",
	pipeline.TriggerStep: "A step that starts a build of another pipeline",
	pipeline.GroupStep:   "Steps that are shown together",
}

// Definitions are the schemas of pipelines and of each type of step. Those of
// plugins are given, as nobody here knows them.
func Definitions(plugins Schema) map[string]Schema {
	definitions := map[string]Schema{}
	inGroup := []Schema{{"type": "string", "enum": []string{"wait", "waiter", "block", "input"}}, variable}
	steps := slices.Clone(inGroup)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		name := string(kind) + "Step"
		keys := closed(kinds[kind])
		properties, _ := keys["properties"].(Schema)
		switch kind {
		case pipeline.CommandStep:
			properties["plugins"] = plugins
		case pipeline.GroupStep:
			properties["steps"] = Schema{"type": "array", "minItems": 1, "items": reference("stepOfGroup")}
			keys["required"] = []string{"steps"}
		}
		definitions[name+"Keys"] = keys
		definitions[name] = Schema{"title": titles[kind], "allOf": []Schema{reference(name + "Keys")}, "anyOf": requiredOf(kind)}
		steps = append(steps, reference(name))
		if kind != pipeline.GroupStep {
			inGroup = append(inGroup, reference(name))
			nested := nested(kind, name)
			inGroup, steps = append(inGroup, nested), append(steps, nested)
		}
	}
	definitions["step"] = Schema{"title": "A step of a pipeline", "anyOf": steps}
	definitions["stepOfGroup"] = Schema{"title": "A step of a group", "anyOf": inGroup}
	list := Schema{"type": "array", "minItems": 1, "items": reference("step")}
	own := Schema{"steps": list}
	for key, check := range pipelineKeys {
		own[key] = true
		if check.schema != nil {
			own[key] = nullable(check.schema)
		}
	}
	definitions["pipeline"] = Schema{"title": "A Buildkite pipeline", "anyOf": []Schema{
		{"type": "object", "required": []string{"steps"}, "properties": own},
		list,
	}}

	return definitions
}

func reference(name string) Schema { return Schema{"$ref": "#/$defs/" + name} }

// requiredOf says which keys make a step one of a type.
func requiredOf(kind pipeline.Type) []Schema {
	ways := []Schema{{"required": []string{"type"}, "properties": Schema{"type": Schema{"enum": pipeline.Names(kind)}}}}
	for _, key := range pipeline.Keys(kind) {
		ways = append(ways, Schema{"required": []string{key}})
	}

	return ways
}

// nested is a step inside the name of its type: {command: {command: make}}.
func nested(kind pipeline.Type, name string) Schema {
	return Schema{
		"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		"patternProperties": Schema{"^(" + strings.Join(pipeline.Names(kind), "|") + ")$": reference(name + "Keys")},
	}
}

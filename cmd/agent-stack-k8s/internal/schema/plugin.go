package schema

import (
	"maps"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// plugin is the schema of the kubernetes plugin: what the dispatcher reads, and
// what the mutator reads.
func (t *typed) plugin(meanings map[string]string) object {
	properties := t.ours(mutator.PluginFields(), "", meanings)
	properties["podSpec"] = t.podSpec()
	properties["podTemplate"] = object{"type": []any{"string", "null"}}
	texts := object{"type": []any{"object", "null"}, "additionalProperties": object{"type": "string"}}
	properties["metadata"] = object{
		"type": []any{"object", "null"}, "additionalProperties": false,
		"properties": object{"labels": texts, "annotations": maps.Clone(texts)},
	}
	patch := typed{definitions: t.definitions, patch: true}
	properties["podSpecPatch"] = nullable(patch.of(reflect.TypeFor[corev1.PodSpec]()))
	for _, name := range []string{"podSpec", "podTemplate", "metadata", "podSpecPatch"} {
		describe(objectIn(properties, name), meanings[name])
	}

	return object{"title": "The kubernetes plugin", "type": "object", "additionalProperties": false, "properties": properties}
}

// ours are the properties of a structure of this product, whose fields are
// described by their paths.
func (t *typed) ours(structure reflect.Type, prefix string, meanings map[string]string) object {
	properties := object{}
	for field := range structure.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		target := field.Type
		if target.Kind() == reflect.Pointer {
			target = target.Elem()
		}
		switch {
		case !field.IsExported() || name == "-":
		case field.Anonymous && name == "":
			maps.Copy(properties, t.ours(target, prefix, meanings))
		case name != "":
			schema := nullable(t.oursOf(target, prefix+name, meanings))
			describe(schema, meanings[prefix+name])
			properties[name] = schema
		}
	}

	return properties
}

func (t *typed) oursOf(target reflect.Type, path string, meanings map[string]string) object {
	switch {
	case target == reflect.TypeFor[mutator.Interposer]():
		return object{"anyOf": []any{
			object{"enum": []any{contract.InterposerBuildkite, contract.InterposerVector, contract.InterposerLegacy}},
			object{"type": "string", "pattern": "^$|" + variable},
		}}
	case target == reflect.TypeFor[mutator.GitCredentialsSecret]():
		return object{"anyOf": []any{object{"type": "string"}, t.of(reflect.TypeFor[corev1.SecretVolumeSource]())}}
	case target == reflect.TypeFor[corev1.Volume]():
		// Its name does not count.
		return t.without(target, "GitMirrorsVolume")
	case target == reflect.TypeFor[[]corev1.Container]():
		return object{"type": "array", "items": nullable(t.without(reflect.TypeFor[corev1.Container](), "Sidecar", "image"))}
	case target.Kind() == reflect.Struct && target.PkgPath() == reflect.TypeFor[mutator.Config]().PkgPath():
		return object{"type": "object", "additionalProperties": false, "properties": t.ours(target, path+".", meanings)}
	default:
		return t.of(target)
	}
}

// without defines a type under another name, with other required fields.
func (t *typed) without(target reflect.Type, name string, required ...string) object {
	t.of(target)
	definition := maps.Clone(objectIn(t.definitions, target.Name()))
	delete(definition, "required")
	if len(required) > 0 {
		definition["required"] = required
	}
	t.definitions[name] = definition

	return reference(name)
}

// podSpec is a pod's spec as authors may write it. Names of containers may be
// left out, and some fields are refused.
func (t *typed) podSpec() object {
	t.of(reflect.TypeFor[corev1.PodSpec]())
	properties := objectIn(objectIn(t.definitions, "PodSpec"), "properties")
	jobContainer := t.without(reflect.TypeFor[corev1.Container](), "JobContainer")
	container := objectIn(t.definitions, "JobContainer")
	fields := maps.Clone(objectIn(container, "properties"))
	container["properties"] = fields
	for _, name := range []string{"livenessProbe", "startupProbe", "restartPolicy"} {
		fields[name] = object{"type": "null", "description": "Not possible in a container that waits for its turn to run a part of the job."}
	}
	fields["restartPolicyRules"] = object{"anyOf": []any{object{"type": "null"}, object{"type": "array", "maxItems": 0}}}
	objectIn(properties, "containers")["items"] = nullable(jobContainer)
	properties["restartPolicy"] = object{"enum": []any{string(corev1.RestartPolicyNever), nil}, "description": "A job runs once. Use the step's retry instead."}
	properties["schedulingGates"] = object{"type": "null", "description": "The gate that holds a job's pod is set and removed for you."}
	properties["ephemeralContainers"] = object{"anyOf": []any{object{"type": "null"}, object{"type": "array", "maxItems": 0}}, "description": "A new pod has none."}

	return nullable(reference("PodSpec"))
}

// objectIn is a member of an object that is one itself.
func objectIn(of object, name string) object {
	member, isObject := of[name].(object)
	if !isObject {
		panic("the schema has no object " + name)
	}

	return member
}

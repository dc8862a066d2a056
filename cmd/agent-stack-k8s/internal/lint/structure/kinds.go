package structure

import (
	"maps"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
)

// common are the keys of every step.
var common = map[string]check{
	"key": text, "id": text, "identifier": text,
	"label": text, "name": text, "type": text,
	"if": text, "branches": texts,
	"depends_on": dependsOn, "allow_dependency_failure": flag,
}

// withCommon adds the keys of every step to those of a kind. An empty check accepts
// everything.
func withCommon(special map[string]check) map[string]check {
	all := maps.Clone(common)
	maps.Copy(all, special)

	return all
}

// kinds are the keys of each type of step. Source:
// https://buildkite.com/docs/pipelines/configure/step-types
var kinds = map[pipeline.Type]map[string]check{
	pipeline.CommandStep: withCommon(map[string]check{
		"command": texts, "commands": texts,
		"agents": agents, "artifact_paths": texts, "cache": {}, "cancel_on_build_failing": flag, "checkout": {},
		"concurrency": positive, "concurrency_group": text, "concurrency_method": oneOf("ordered", "eager"),
		"env": env, "if_changed": {}, "image": text, "matrix": matrix, "notify": {},
		"parallelism": count, "plugins": {}, "priority": number, "retry": retry,
		"secrets": {}, "signature": object, "skip": skip, "soft_fail": softFail, "timeout_in_minutes": positive,
	}),
	pipeline.WaitStep: withCommon(map[string]check{
		"wait": text, "waiter": text, "continue_on_failure": flag,
	}),
	pipeline.BlockStep: withCommon(map[string]check{
		"block": text, "manual": text, "prompt": text, "fields": fields, "allowed_teams": texts,
		"blocked_state": oneOf("passed", "failed", "running"), "skip": skip,
	}),
	pipeline.InputStep: withCommon(map[string]check{
		"input": text, "prompt": text, "fields": fields, "allowed_teams": texts, "skip": skip,
	}),
	pipeline.TriggerStep: withCommon(map[string]check{
		"trigger": text, "async": flag, "build": triggeredBuild, "if_changed": {}, "notify": {}, "skip": skip, "soft_fail": softFail,
	}),
	pipeline.GroupStep: withCommon(map[string]check{
		// The steps are looked at with the group around them.
		"group": text, "steps": {}, "if_changed": {}, "notify": {}, "skip": skip,
	}),
}

// pipelineKeys are the pipeline's own; it may have others.
var pipelineKeys = map[string]check{
	"agents": agents, "env": env, "image": text, "notify": {}, "priority": number, "secrets": {},
}

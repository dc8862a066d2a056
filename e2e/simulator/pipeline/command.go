package pipeline

import (
	"fmt"
	"maps"

	gopipeline "github.com/buildkite/go-pipeline"
)

// ImageVariable carries a step's `image` to whoever starts its container.
const ImageVariable = "BUILDKITE_IMAGE"

func (r reader) command(where string, step *gopipeline.CommandStep) (Step, error) {
	if err := supported(where, step); err != nil {
		return Step{}, err
	}
	plugins, err := pluginsJSON(step.Plugins)
	if err != nil {
		return Step{}, fmt.Errorf("%s: %w", where, err)
	}
	fields := fields{where: where, values: step.RemainingFields}
	for _, name := range []string{"type", "label", "name", "key", "id", "identifier", "command", "commands", "plugins", "env"} {
		fields.take(name) // all but the type are read already; take makes them known
	}
	result := Step{
		Kind:          KindCommand,
		Key:           step.Key,
		Label:         step.Label,
		Command:       step.Command,
		Plugins:       plugins,
		Env:           map[string]string{},
		ArtifactPaths: fields.list("artifact_paths", ";"),
		Rules:         r.rules,
		Priority:      r.priority,
		Timeout:       fields.minutes("timeout_in_minutes"),
		SoftFail:      fields.softFail("soft_fail"),
		Retry:         fields.retry("retry"),
		Skip:          fields.skip("skip"),

		AllowDependencyFailure: fields.flag("allow_dependency_failure"),
	}
	result.DependsOn, result.Explicit = fields.dependencies("depends_on")
	if rules := fields.rules("agents"); rules != nil {
		result.Rules = rules
	}
	if priority := fields.number("priority"); priority != nil {
		result.Priority = priority
	}
	if parallelism := fields.number("parallelism"); parallelism != nil {
		result.Parallelism = *parallelism
		if result.Parallelism < 1 {
			fields.problemf("parallelism", "must be 1 or more")
		}
	}
	image := fields.text("image")
	if image == "" {
		image = r.image
	}
	if image != "" {
		result.Env[ImageVariable] = image
	}
	maps.Copy(result.Env, step.Env)
	return result, fields.done()
}

// supported refuses what the library understands and the simulator does not.
func supported(where string, step *gopipeline.CommandStep) error {
	unsupported := map[string]bool{
		"secrets":   len(step.Secrets) > 0,
		"signature": step.Signature != nil,
		"matrix":    step.Matrix != nil,
		"cache":     step.Cache != nil,
		"checkout":  step.Checkout != nil,
	}
	for _, key := range []string{"secrets", "signature", "matrix", "cache", "checkout"} {
		if unsupported[key] {
			return fmt.Errorf("%s: %s: not supported by the simulator; remove the key", where, key)
		}
	}
	return nil
}

package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	gopipeline "github.com/buildkite/go-pipeline"
	"github.com/buildkite/go-pipeline/warning"
)

// Environment is what variables in a pipeline are replaced from. It is the
// interface of the library that does it.
type Environment = gopipeline.InterpolationEnv

// Read parses a pipeline.yml. Variables in it are replaced from environment, as
// `buildkite-agent pipeline upload` does; with nil they stay as they are, as in
// steps typed into Buildkite's settings. An error names the step and the key.
func Read(data []byte, environment Environment) (Pipeline, error) {
	parsed, err := gopipeline.Parse(bytes.NewReader(data))
	if w := warning.As(err); w != nil {
		// A warning is a step that the library gave up on.
		return Pipeline{}, fmt.Errorf("read pipeline: %w", w)
	}
	if err != nil {
		return Pipeline{}, fmt.Errorf("read pipeline: %w", err)
	}
	if environment != nil {
		if err := parsed.Interpolate(environment, false); err != nil {
			return Pipeline{}, fmt.Errorf("replace variables in pipeline: %w", err)
		}
	}
	return convert(parsed)
}

func convert(parsed *gopipeline.Pipeline) (Pipeline, error) {
	fields := fields{where: "pipeline", values: parsed.RemainingFields}
	reader := reader{rules: fields.rules("agents"), image: fields.text("image")}
	priority := fields.number("priority")
	if err := fields.done(); err != nil {
		return Pipeline{}, err
	}
	if len(parsed.Secrets) > 0 {
		return Pipeline{}, errors.New("pipeline: secrets: the simulator has none; remove the key")
	}
	if parsed.Checkout != nil {
		return Pipeline{}, errors.New("pipeline: checkout: not supported by the simulator; remove the key")
	}
	reader.priority = priority

	result := Pipeline{Env: map[string]string{}}
	if parsed.Env != nil {
		maps.Insert(result.Env, parsed.Env.All)
	}
	for index, step := range parsed.Steps {
		steps, err := reader.step(fmt.Sprintf("steps[%d]", index), step)
		if err != nil {
			return Pipeline{}, err
		}
		result.Steps = append(result.Steps, steps...)
	}
	return result, result.validate()
}

// validate refuses keys that two steps share.
func (p Pipeline) validate() error {
	if len(p.Steps) == 0 {
		return errors.New("pipeline: steps: there are none")
	}
	seen := map[string]bool{}
	for _, step := range p.Steps {
		if step.Key == "" {
			continue
		}
		if seen[step.Key] {
			return fmt.Errorf("pipeline: key %q is used by two steps; keys are unique in a build", step.Key)
		}
		seen[step.Key] = true
	}
	return nil
}

// reader holds what steps inherit from the pipeline.
type reader struct {
	rules    []string
	image    string
	priority *int
}

func (r reader) step(where string, step gopipeline.Step) ([]Step, error) {
	switch step := step.(type) {
	case *gopipeline.CommandStep:
		command, err := r.command(where, step)
		return []Step{command}, err
	case *gopipeline.WaitStep:
		wait, err := r.wait(where, step)
		return []Step{wait}, err
	case *gopipeline.GroupStep:
		return r.group(where, step)
	case *gopipeline.InputStep:
		return nil, fmt.Errorf("%s: block and input steps are not supported by the simulator", where)
	case *gopipeline.TriggerStep:
		return nil, fmt.Errorf("%s: trigger steps are not supported by the simulator", where)
	default:
		return nil, fmt.Errorf("%s: not a step: give it a command, plugins, wait or group", where)
	}
}

func (r reader) wait(where string, step *gopipeline.WaitStep) (Step, error) {
	fields := fields{where: where, values: step.Contents}
	fields.text("wait")
	fields.text("waiter")
	fields.text("type")
	result := Step{Kind: KindWait, Key: fields.text("key", "id", "identifier"), ContinueOnFailure: fields.flag("continue_on_failure")}
	return result, fields.done()
}

func (r reader) group(where string, group *gopipeline.GroupStep) ([]Step, error) {
	fields := fields{where: where, values: group.RemainingFields}
	depends, explicit := fields.dependencies("depends_on")
	skip := fields.skip("skip")
	allow := fields.flag("allow_dependency_failure")
	if err := fields.done(); err != nil {
		return nil, err
	}
	label := ""
	if group.Group != nil {
		label = *group.Group
	}
	var result []Step
	for index, inner := range group.Steps {
		steps, err := r.step(fmt.Sprintf("%s.steps[%d]", where, index), inner)
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			step.Group, step.GroupKey = label, group.Key
			step.DependsOn = append(slices.Clone(depends), step.DependsOn...)
			step.Explicit = step.Explicit || explicit
			step.AllowDependencyFailure = step.AllowDependencyFailure || allow
			step.Skip = step.Skip || skip
			result = append(result, step)
		}
	}
	if len(result) == 0 {
		return nil, fmt.Errorf("%s: the group has no steps", where)
	}
	return result, nil
}

package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	gopipeline "github.com/buildkite/go-pipeline"
)

// Kind tells steps apart.
type Kind string

// Kinds of steps.
const (
	KindCommand Kind = "command"
	KindWait    Kind = "wait"
)

// Pipeline is a pipeline.yml as the simulator understands it. Groups are
// flattened into their steps.
type Pipeline struct {
	Env   map[string]string
	Steps []Step
}

// Step is a command step or a wait step.
type Step struct {
	Kind Kind
	Key  string
	// GroupKey and Group are the key and the label of the group around it.
	GroupKey, Group string
	Label           string

	// Command is what the agent runs; several commands are joined by newlines.
	Command string
	// Plugins is the JSON that BUILDKITE_PLUGINS holds: an array of objects with
	// one key, the plugin's full source. Empty without plugins.
	Plugins       string
	Env           map[string]string
	ArtifactPaths string

	// Rules are the agent query rules, each key=value. A step without its own
	// has the pipeline's. There may be none for the queue.
	Rules []string
	// Priority is nil when the step does not say.
	Priority *int
	// Parallelism is the number of jobs; 0 when the step does not say.
	Parallelism int
	// Timeout is how long a job may run; 0 is for ever.
	Timeout  time.Duration
	SoftFail SoftFail
	Retry    Retry
	Skip     bool

	// DependsOn lists what must end first. With Explicit a step ignores wait
	// steps, as one with depends_on does, even an empty one.
	DependsOn              []Dependency
	Explicit               bool
	AllowDependencyFailure bool
	// ContinueOnFailure lets what follows a wait step run though something
	// before it failed.
	ContinueOnFailure bool
}

// Dependency is one entry of depends_on.
type Dependency struct {
	// Step is the key of a step or group.
	Step         string
	AllowFailure bool
}

// SoftFail says which exit statuses do not fail the build.
type SoftFail struct {
	Any      bool
	Statuses []int
}

// Allows reports whether a job that ended with status fails softly.
func (s SoftFail) Allows(status int) bool {
	return s.Any || slices.Contains(s.Statuses, status)
}

func pluginsJSON(plugins gopipeline.Plugins) (string, error) {
	if len(plugins) == 0 {
		return "", nil
	}
	text, err := json.Marshal(plugins)
	if err != nil {
		return "", fmt.Errorf("encode plugins: %w", err)
	}
	return string(text), nil
}

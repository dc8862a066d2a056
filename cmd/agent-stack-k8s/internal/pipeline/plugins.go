package pipeline

import (
	"strings"

	gopipeline "github.com/buildkite/go-pipeline"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Plugin is a plugin of a step.
type Plugin struct {
	document.Position

	// Source is the plugin's full name, as a job's BUILDKITE_PLUGINS has it.
	Source string
	// Config is its configuration; nil if there is none.
	Config *document.Node
}

// IsKubernetes says whether it is the kubernetes plugin, whatever its version.
func (p Plugin) IsKubernetes() bool {
	name, _, _ := strings.Cut(p.Source, "#")
	name = strings.TrimPrefix(name, "https://")

	return strings.TrimSuffix(name, ".git") == contract.KubernetesPlugin
}

// Plugins returns the step's plugins, in the forms in which pipelines write
// them: a list of names and objects, or one object. The problems are of what is
// neither.
func (s Step) Plugins() ([]Plugin, []document.Problem) {
	node := s.Node.Get("plugins")
	switch {
	case node.IsNull():
		return nil, nil
	case node.Kind == document.Object:
		return fromObject(node), nil
	case node.Kind == document.List:
		return fromList(node)
	default:
		return nil, []document.Problem{{Position: node.Position, Text: "want a list of plugins, found " + node.What()}}
	}
}

func fromList(list *document.Node) ([]Plugin, []document.Problem) {
	var plugins []Plugin
	var problems []document.Problem
	for _, item := range list.Items {
		name, isText := item.Scalar.(string)
		switch {
		case item.Kind == document.Object && len(item.Entries) > 0:
			plugins = append(plugins, fromObject(item)...)
		case isText:
			plugins = append(plugins, Plugin{Position: item.Position, Source: fullSource(name)})
		default:
			problems = append(problems, document.Problem{
				Position: item.Position,
				Text:     "want a plugin's name, or its name and configuration, found " + item.What(),
			})
		}
	}

	return plugins, problems
}

func fromObject(object *document.Node) []Plugin {
	var plugins []Plugin
	for _, entry := range object.Entries {
		plugins = append(plugins, Plugin{Position: entry.Position, Source: fullSource(entry.Key), Config: entry.Value})
	}

	return plugins
}

func fullSource(name string) string {
	plugin := gopipeline.Plugin{Source: name}

	return plugin.FullSource()
}

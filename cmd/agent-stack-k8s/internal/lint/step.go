package lint

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Where authors write the plugin's fields, as the dispatcher's errors say it.
const (
	pluginPath  = "plugins.kubernetes"
	podSpecName = "podSpec"
	// podTemplateName names a PodTemplate of the cluster.
	podTemplateName = "podTemplate"
)

// stepLint is the check of one step.
type stepLint struct {
	linter   linter
	step     pipeline.Step
	config   *document.Node // of the kubernetes plugin; nil without
	position document.Position
	// others says that there are other plugins, which may run what the step does
	// not say.
	others   bool
	findings []finding.Finding
	// seen are paths that have an error already; others find the same again.
	seen map[string]bool
	// stood are the paths of values that stand in for variables.
	stood map[string]bool
	// undecodable says that the pod cannot be made at all.
	undecodable bool
	// wrongAgents says that there are errors about the step's tags already.
	wrongAgents bool
	// unseenTemplate says that the pod is built on something that is not known
	// here, which may have what seems to be missing.
	unseenTemplate bool
}

// step checks a step. What is wrong with its own keys is known already.
func (l linter) step(step pipeline.Step, number int, known []finding.Finding) []finding.Finding {
	s := &stepLint{linter: l, step: step, position: step.Node.Position, seen: map[string]bool{}, stood: map[string]bool{}}
	for _, one := range known {
		s.wrongAgents = s.wrongAgents || strings.HasPrefix(one.Path, s.path(agentsPath)) || strings.HasPrefix(one.Path, agentsPath)
	}
	plugins, problems := step.Plugins()
	for _, problem := range problems {
		s.add(finding.Finding{Position: problem.Position, Rule: finding.StepValue, Path: step.Path + ".plugins", Text: problem.Text})
	}
	if len(problems) > 0 {
		return s.findings
	}
	for _, plugin := range plugins {
		if plugin.IsKubernetes() {
			s.config, s.position = plugin.Config, plugin.Position

			continue
		}
		s.others = true
		s.otherPlugin(plugin)
	}
	s.checkPlugin()
	if !s.undecodable {
		s.run(number)
	}

	return s.findings
}

// otherPlugin warns of a plugin that was meant to be the kubernetes plugin.
func (s *stepLint) otherPlugin(plugin pipeline.Plugin) {
	name, _, _ := strings.Cut(path.Base(strings.TrimSuffix(plugin.Source, ".git")), "#")
	name = strings.TrimSuffix(name, "-buildkite-plugin")
	near := strict.Nearest(name, []string{"kubernetes"}) != "" && name != "kubernetes"
	if plugin.Config.Get(podSpecName) == nil && !near {
		return
	}
	s.add(finding.Finding{
		Position: plugin.Position, Severity: finding.Warning, Rule: finding.StepValue, Path: s.path("plugins"),
		Text: fmt.Sprintf("%q is not the kubernetes plugin, and the agent will try to download it; did you mean \"kubernetes\"?", plugin.Source),
	})
}

// add adds a finding, an error if it says nothing else.
func (s *stepLint) add(f finding.Finding) {
	if f.Severity == "" {
		f.Severity = finding.Error
	}
	s.findings = append(s.findings, f)
	if f.Severity == finding.Error {
		s.seen[f.Path] = true
	}
}

func (s *stepLint) warn(rule finding.Rule, at document.Position, relative, text string) {
	s.add(finding.Finding{Position: at, Severity: finding.Warning, Rule: rule, Path: s.path(relative), Text: text})
}

// path is the path in the pipeline of one that is relative to the step.
func (s *stepLint) path(relative string) string {
	return s.step.Path + "." + relative
}

// checkPlugin looks for what the program that makes the pod need not, or cannot,
// find: it takes podSpec as it is, and the API server decodes it.
func (s *stepLint) checkPlugin() {
	if s.config.IsNull() || s.config.Kind != document.Object {
		return
	}
	for _, entry := range s.config.Entries {
		// The mutator knows the other keys, and reports unknown ones.
		near := strict.Nearest(entry.Key, []string{podSpecName, podTemplateName, "metadata"})
		if near == "" || near == entry.Key {
			continue
		}
		s.add(finding.Finding{
			Position: entry.Position, Rule: finding.UnknownField, Path: s.path(pluginPath + "." + entry.Key),
			Text: "unknown field; did you mean \"" + near + "\"?",
		})
	}
	if podSpec := s.config.Get(podSpecName); !podSpec.IsNull() {
		s.problems(strict.Check[corev1.PodSpec](podSpec), podSpecName)
	}
}

// problems adds what is wrong below a field of the plugin.
func (s *stepLint) problems(problems []strict.Problem, below string) {
	for _, problem := range problems {
		where := pluginPath + "." + below
		if problem.Path != "" {
			where += strings.TrimSuffix("."+problem.Path, ".")
		}
		node, _ := s.config.Find(strings.TrimPrefix(where, pluginPath+"."))
		interpolated := node != nil && pipeline.Interpolated(node.Text())
		if interpolated && problem.Quantity {
			// It may be right once the variable is filled in. Something has to stand
			// there until then.
			node.Scalar = json.Number("1")
			s.stood[where] = true

			continue
		}
		rule := finding.UnknownField
		if problem.Type {
			rule = finding.WrongType
			s.undecodable = true
			if interpolated {
				problem.Text += ", also once its variables are filled in"
			}
		}
		s.add(finding.Finding{Position: problem.Position, Rule: rule, Path: s.path(where), Text: problem.Text})
	}
}

// run makes the pod as the dispatcher and the mutator do.
func (s *stepLint) run(number int) {
	job, err := s.step.Job(number)
	if err != nil {
		s.add(finding.Finding{Position: s.position, Rule: finding.Refused, Path: s.step.Path, Text: err.Error()})

		return
	}
	template, isKnown := s.template(job)
	if !isKnown {
		return
	}
	s.admit(job, template)
}

// template returns the pod spec of the PodTemplate that the step builds on.
func (s *stepLint) template(job jobpod.Job) (json.RawMessage, bool) {
	name, errs := jobpod.TemplateName(job)
	if name == "" || len(errs) > 0 {
		// Without one, and with a name that is none: that is the dispatcher's to say.
		return json.RawMessage("{}"), true
	}
	if s.linter.templates == nil {
		s.unseenTemplate = true

		return json.RawMessage("{}"), true
	}
	template, err := s.linter.templates.For(job)
	if err != nil {
		where := pluginPath + "." + podTemplateName
		_, at := s.find(where)
		s.add(finding.Finding{Position: at, Rule: finding.Refused, Path: s.path(where), Text: "the file of --pod-template has no PodTemplate \"" + name + "\"; correct the name, or add it to the file"})

		return nil, false
	}

	return template, true
}

// find returns the value at a path that is relative to the step, and where it
// was written; for what was not written, its nearest surroundings.
func (s *stepLint) find(path string) (*document.Node, document.Position) {
	inner, found := strings.CutPrefix(path, pluginPath)
	if found && (inner == "" || inner[0] == '.' || inner[0] == '[') {
		if s.config == nil {
			return nil, s.position
		}
		node, position := s.config.Find(inner)
		if node == s.config || node == nil && position == s.config.Position {
			// An object is where its first key is, which is not what is meant.
			position = s.position
		}

		return node, position
	}
	node, position := s.step.Node.Find(path)

	return node, position
}

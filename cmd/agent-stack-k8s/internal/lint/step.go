package lint

import (
	"encoding/json"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Where authors write the plugin's fields, as the dispatcher's errors say it.
const (
	pluginPath  = "plugins.kubernetes"
	podSpecName = "podSpec"
	// podTemplateName names a PodTemplate on the cluster, which cannot be seen
	// from here.
	podTemplateName = "podTemplate"
)

// stepLint is the check of one step.
type stepLint struct {
	step     pipeline.Step
	config   *document.Node // of the kubernetes plugin; nil without
	position document.Position
	findings []finding
	// seen are paths that have an error already; others find the same again.
	seen map[string]bool
	// undecodable says that the pod cannot be made at all.
	undecodable bool
}

func (l linter) step(step pipeline.Step, number int) []finding {
	s := &stepLint{step: step, position: step.Node.Position, seen: map[string]bool{}}
	plugins, problems := step.Plugins()
	for _, problem := range problems {
		s.add(finding{Position: problem.Position, path: step.Path + ".plugins", text: problem.Text})
	}
	if len(problems) > 0 {
		return s.findings
	}
	for _, plugin := range plugins {
		if plugin.IsKubernetes() {
			s.config, s.position = plugin.Config, plugin.Position
		}
	}
	s.checkPlugin()
	if !s.undecodable {
		s.run(l, number)
	}

	return s.findings
}

func (s *stepLint) add(f finding) {
	s.findings = append(s.findings, f)
	if !f.warning {
		s.seen[f.path] = true
	}
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
		s.add(finding{Position: entry.Position, path: s.path(pluginPath + "." + entry.Key), text: "unknown field; did you mean \"" + near + "\"?"})
	}
	podSpec := s.config.Get(podSpecName)
	if !podSpec.IsNull() {
		s.problems(strict.Check[corev1.PodSpec](podSpec), podSpecName)
	}
	if !s.config.Get(podTemplateName).IsNull() {
		// It may have the volumes.
		return
	}
	for _, list := range mountLists(s.config) {
		s.checkMounts(list)
	}
}

// problems adds what is wrong below a field of the plugin.
func (s *stepLint) problems(problems []strict.Problem, below string) {
	for _, problem := range problems {
		path := pluginPath + "." + below
		if problem.Path != "" {
			path += strings.TrimSuffix("."+problem.Path, ".")
		}
		node, _ := s.config.Find(strings.TrimPrefix(path, pluginPath+"."))
		if problem.Type && node != nil && pipeline.Interpolated(node.Text()) {
			// It is a string now, and one after the interpolation too.
			problem.Text += ", also once its variables are filled in"
		}
		s.add(finding{Position: problem.Position, path: s.path(path), text: problem.Text})
		s.undecodable = s.undecodable || problem.Type
	}
}

// run makes the pod as the dispatcher and the mutator do.
func (s *stepLint) run(l linter, number int) {
	job, err := s.step.Job(number)
	if err != nil {
		s.add(finding{Position: s.position, path: s.step.Path, text: err.Error()})

		return
	}
	raw, errs := admission.Dispatch(job, json.RawMessage("{}"))
	if len(errs) > 0 {
		s.fieldErrors(errs)

		return
	}
	s.review(l, raw)
}

func (s *stepLint) review(l linter, raw json.RawMessage) {
	outcome, errs, err := admission.Review(l.config, raw)
	switch {
	case err != nil:
		s.add(finding{Position: s.position, path: s.path(pluginPath), text: err.Error()})
	case len(errs) > 0:
		s.fieldErrors(errs)
	default:
		for _, warning := range outcome.Warnings {
			s.warning(warning)
		}
	}
}

// fieldErrors adds errors of the dispatcher and the mutator, at the place where
// the author wrote the field.
func (s *stepLint) fieldErrors(errs field.ErrorList) {
	for _, err := range errs {
		if err.Field == jobContainersField && len(errs) > 1 {
			// Made from the containers' names, about which there are errors too.
			continue
		}
		path := jobpod.AuthorPath(err.Field)
		node, position := s.find(path)
		f := finding{Position: position, path: s.path(path), text: sentence(err)}
		if node != nil && pipeline.Interpolated(node.Text()) {
			f.warning = true
			f.text += "; not so if the variable in it makes it right"
		}
		if !s.seen[f.path] {
			s.add(f)
		}
	}
}

var jobContainersField = field.NewPath("metadata", "annotations").Key(contract.JobContainersAnnotation).String()

// sentence is an error without its path. That an unknown field is forbidden goes
// without saying.
func sentence(err *field.Error) string {
	body := err.ErrorBody()
	if unknown, found := strings.CutPrefix(body, field.ErrorTypeForbidden.String()+": "); found && strings.HasPrefix(unknown, "unknown field") {
		return unknown
	}

	return body
}

// pathOfWarning takes the path off the front of a warning.
var pathOfWarning = regexp.MustCompile(`^((?:spec|metadata)[^\s:]*): `)

func (s *stepLint) warning(text string) {
	f := finding{Position: s.position, warning: true, path: s.path(pluginPath), text: text}
	if match := pathOfWarning.FindStringSubmatch(text); match != nil {
		path := jobpod.AuthorPath(match[1])
		_, position := s.find(path)
		f.Position, f.path, f.text = position, s.path(path), strings.TrimPrefix(text, match[0])
	}
	s.add(f)
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
		if position == s.config.Position {
			position = s.position
		}

		return node, position
	}
	node, position := s.step.Node.Find(path)

	return node, position
}

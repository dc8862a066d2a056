package lint

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/podrules"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/strict"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// admit judges the step's pod as it would be judged on a cluster: by the
// dispatcher, the mutator and the API server.
func (s *stepLint) admit(job jobpod.Job, template json.RawMessage) {
	submitted, errs := admission.Dispatch(job, template)
	if len(errs) > 0 {
		s.fieldErrors(errs, finding.Refused, jobpod.AuthorPath)

		return
	}
	outcome, errs, err := admission.Review(s.linter.config, submitted)
	switch {
	case err != nil:
		s.add(finding.Finding{Position: s.position, Rule: finding.WrongType, Path: s.path(pluginPath), Text: err.Error()})
	case len(errs) > 0:
		s.fieldErrors(errs, finding.Refused, jobpod.AuthorPath)
		s.foretell(submitted, false)
	default:
		for _, warning := range outcome.Warnings {
			s.warning(warning)
		}
		s.foretell(outcome.Pod, true)
	}
}

// foretell says what the API server would say to the pod. One that the mutator
// refuses never gets there, but people want to know all at once; what the mutator
// would have added is missing then.
func (s *stepLint) foretell(raw json.RawMessage, admitted bool) {
	var pod corev1.Pod
	if err := kjson.Unmarshal(raw, &pod); err != nil {
		// It was decoded before.
		panic("decode an admitted pod: " + err.Error())
	}
	errs := podrules.Check(&pod)
	if !admitted || s.unseenTemplate {
		errs = s.early(errs)
	}
	authorPath := origins{step: s, pod: &pod}.authorPath
	if !admitted {
		// Nothing was added to its lists yet.
		authorPath = jobpod.AuthorPath
	}
	s.fieldErrors(errs, "", authorPath)
	s.sidecars()
	s.volumes()
	switch {
	case !admitted && !s.unseenTemplate:
		s.checkExtraMounts(&pod)
	case admitted:
		s.commands(&pod)
		s.images(&pod, authorPath)
	}
}

const agentsPath = "agents"

// rules are those of errors by their type.
var rules = map[field.ErrorType]finding.Rule{
	field.ErrorTypeRequired:  finding.Required,
	field.ErrorTypeDuplicate: finding.Duplicate,
	field.ErrorTypeNotFound:  finding.Mount,
}

// fieldErrors adds errors, at the place where the author wrote the field. Without
// a rule it is that of the error's type.
func (s *stepLint) fieldErrors(errs field.ErrorList, rule finding.Rule, authorPath func(string) string) {
	for _, err := range errs {
		if err.Field == jobContainersField && len(errs) > 1 {
			// Made from the containers' names, about which there are errors too.
			continue
		}
		if s.unseenTemplate && err.Type == field.ErrorTypeRequired {
			continue
		}
		path := authorPath(err.Field)
		node, position := s.find(path)
		f := finding.Finding{Position: position, Rule: ruleOf(err, rule), Path: s.path(path), Text: s.sentence(err)}
		if s.depends(path, node) {
			f.Severity = finding.Warning
			f.Text += "; not so if the variable in it makes it right"
		}
		if !s.seen[f.Path] && (path != agentsPath || !s.wrongAgents) {
			s.add(f)
		}
	}
}

func ruleOf(err *field.Error, rule finding.Rule) finding.Rule {
	byType, known := rules[err.Type]
	switch {
	case rule == finding.Refused && strings.HasPrefix(err.Detail, "unknown field"):
		return finding.UnknownField
	case rule == finding.Refused && strings.HasPrefix(err.Detail, "want ") && strings.Contains(err.Detail, ", found "):
		return finding.WrongType
	case known && (rule == "" || err.Type != field.ErrorTypeNotFound):
		return byType
	case rule != "":
		return rule
	default:
		return finding.InvalidValue
	}
}

// depends says whether variables may make a value right.
func (s *stepLint) depends(path string, node *document.Node) bool {
	if hasVariable(node) {
		return true
	}
	// Requests are compared with limits, a variable among which is stood in for.
	resources, found := cutAfter(path, ".resources")
	if !found {
		return false
	}
	for stood := range s.stood {
		if strings.HasPrefix(stood, resources) {
			return true
		}
	}

	return false
}

func cutAfter(text, part string) (string, bool) {
	before, _, found := strings.Cut(text, part)

	return before + part, found
}

func hasVariable(node *document.Node) bool {
	if node == nil {
		return false
	}
	if pipeline.Interpolated(node.Text()) {
		return true
	}
	for _, entry := range node.Entries {
		if pipeline.Interpolated(entry.Key) || hasVariable(entry.Value) {
			return true
		}
	}

	return slices.ContainsFunc(node.Items, hasVariable)
}

var jobContainersField = field.NewPath("metadata", "annotations").Key(contract.JobContainersAnnotation).String()

// sentence is an error without its path. That an unknown field is forbidden goes
// without saying.
func (s *stepLint) sentence(err *field.Error) string {
	body := err.ErrorBody()
	if unknown, found := strings.CutPrefix(body, field.ErrorTypeForbidden.String()+": "); found && strings.HasPrefix(unknown, "unknown field") {
		return unknown
	}
	if name, isText := err.BadValue.(string); isText && err.Type == field.ErrorTypeNotFound {
		return s.missing(err.Field, name)
	}

	if err.Type == field.ErrorTypeNotSupported {
		if near := strict.Nearest(fmt.Sprint(err.BadValue), supported(err.Detail)); near != "" {
			body += fmt.Sprintf("; did you mean %q?", near)
		}
	}

	return shorter.Replace(body)
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// supported takes the possible values out of an error's detail.
func supported(detail string) []string {
	var values []string
	for _, match := range quoted.FindAllStringSubmatch(detail, -1) {
		values = append(values, match[1])
	}

	return values
}

// shorter says the same as Kubernetes' own sentences about names, for people who
// read no regular expressions.
var shorter = strings.NewReplacer(
	validation.IsDNS1123Label("_")[0], "want lower-case letters, digits and - only, such as my-name",
	validation.IsDNS1123Subdomain("_")[0], "want lower-case letters, digits, - and . only, such as my-name",
	validation.IsQualifiedName("_")[0], "want letters, digits, -, _ and . only, perhaps after a domain and /, such as example.com/my-name",
	validation.IsValidLabelValue("_")[0], "want letters, digits, -, _ and . only, at most 63",
)

// pathOfWarning takes the path off the front of a warning.
var pathOfWarning = regexp.MustCompile(`^((?:spec|metadata)[^\s:]*): `)

func (s *stepLint) warning(text string) {
	at, path := s.position, pluginPath
	if match := pathOfWarning.FindStringSubmatch(text); match != nil {
		path = jobpod.AuthorPath(match[1])
		_, at = s.find(path)
		text = strings.TrimPrefix(text, match[0])
	}
	rule := finding.Remark
	if strings.HasPrefix(text, "unknown ") {
		rule = finding.UnknownField
	}
	s.warn(rule, at, path, text)
}

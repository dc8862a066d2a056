package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

// Output formats.
const (
	formatText   = "text"
	formatJSON   = "json"
	formatGitHub = "github"
)

var formats = []string{formatText, formatJSON, formatGitHub}

// jsonOfFinding is a finding for programs.
type jsonOfFinding struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 is the file as a whole.
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Path     string `json:"path,omitempty"`
	Message  string `json:"message"`
}

func toJSON(file string, f finding.Finding) jsonOfFinding {
	return jsonOfFinding{
		File: file, Line: f.Position.Line, Column: f.Column,
		Severity: string(f.Severity), Rule: string(f.Rule), Path: f.Path, Message: f.Message(),
	}
}

// print writes what was found to stdout, and for people what was done to stderr.
func (r *results) print(format string, stdout, stderr io.Writer) error {
	switch format {
	case formatJSON:
		if r.Findings == nil {
			r.Findings = []jsonOfFinding{}
		}
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")

		return encoder.Encode(r)
	case formatGitHub:
		for _, one := range r.Findings {
			fmt.Fprintln(stdout, one.gitHub())
		}
	default:
		for _, line := range r.lines {
			fmt.Fprintln(stdout, line)
		}
	}
	fmt.Fprintln(stderr, r.summary())

	return nil
}

// What may not stand in the message and in the properties of a workflow command.
// Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
var (
	gitHubMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// gitHub is the finding as a command of a GitHub workflow, which shows it beside
// the line.
func (f jsonOfFinding) gitHub() string {
	properties := "file=" + gitHubProperty.Replace(f.File)
	if f.Line > 0 {
		properties += fmt.Sprintf(",line=%d,col=%d", f.Line, f.Column)
	}
	message := f.Message
	if f.Path != "" {
		message = f.Path + ": " + message
	}

	return fmt.Sprintf("::%s %s,title=%s::%s", f.Severity, properties, gitHubProperty.Replace(f.Rule), gitHubMessage.Replace(message))
}

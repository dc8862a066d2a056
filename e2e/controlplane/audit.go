package controlplane

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// auditPolicy has nothing but the dispatcher's requests written down, each once,
// without their bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:buildkite:dispatcher"]
- level: None
`

func (p *Plane) auditFile() string { return filepath.Join(p.Directory, "audit.log") }

func (p *Plane) auditArguments() ([]string, error) {
	if !p.options.Audit {
		return nil, nil
	}
	policy := filepath.Join(p.Directory, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, fmt.Errorf("write the audit policy: %w", err)
	}
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + p.auditFile(), "--audit-log-mode=batch", "--audit-log-batch-max-wait=1s"}, nil
}

// Request is what the dispatcher asked the API server for.
type Request struct {
	Verb     string
	Resource string
	// Initial is set if a watch was asked to begin with all objects.
	Initial bool
	// Code is the HTTP status.
	Code int
}

// Requests returns the dispatcher's requests that have been answered, in the order
// in which they were written down, about a second later. A watch counts when
// it begins.
func (p *Plane) Requests() ([]Request, error) {
	file, err := os.Open(p.auditFile())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer file.Close()
	var requests []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Stage      string `json:"stage"`
			Verb       string `json:"verb"`
			RequestURI string `json:"requestURI"`
			ObjectRef  struct {
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"objectRef"`
			ResponseStatus struct {
				Code int `json:"code"`
			} `json:"responseStatus"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the last line may be half written
		}
		if event.Verb == "watch" && event.Stage != "ResponseStarted" {
			continue // it has been counted
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			resource += "/" + event.ObjectRef.Subresource
		}
		requests = append(requests, Request{
			Verb: event.Verb, Resource: resource, Code: event.ResponseStatus.Code,
			Initial: strings.Contains(event.RequestURI, "sendInitialEvents=true"),
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return requests, nil
}

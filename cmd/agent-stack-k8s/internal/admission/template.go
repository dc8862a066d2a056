package admission

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Templates are the pod specs of PodTemplates by their names.
type Templates map[string]json.RawMessage

// ReadTemplates reads the PodTemplates in a file, those in a List too. Other
// objects in it are left out. An empty name is no templates.
func ReadTemplates(file string) (Templates, error) {
	if file == "" {
		return Templates{}, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the PodTemplate: %w", err)
	}
	documents, problems := document.Parse(data)
	for _, problem := range problems {
		return nil, fmt.Errorf("%s:%d: %s", file, problem.Line, problem.Text)
	}
	templates := Templates{}
	isList := false
	for _, node := range documents {
		objects := []*document.Node{node}
		// What kubectl get prints: a namespace without templates has an empty one.
		if items := node.Get("items"); items != nil && node.Get("kind").Text() == "List" {
			isList, objects = true, items.Items
		}
		for _, object := range objects {
			if err := templates.add(object); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	if len(templates) == 0 && !isList {
		return nil, fmt.Errorf("%s: no object of kind PodTemplate in it", file)
	}

	return templates, nil
}

// add takes an object, if it is a PodTemplate.
func (t Templates) add(object *document.Node) error {
	if object.Get("kind").Text() != "PodTemplate" {
		return nil
	}
	spec, _ := object.Find("template.spec")
	raw, err := json.Marshal(spec.Value())
	if err != nil {
		return fmt.Errorf("read a PodTemplate: %w", err)
	}
	t[object.Get("metadata").Get("name").Text()] = raw

	return nil
}

// For returns the template that a job names. A job that names none needs none.
// An error says that the named one is not among these.
func (t Templates) For(job jobpod.Job) (json.RawMessage, error) {
	name, errs := jobpod.TemplateName(job)
	if name == "" || len(errs) > 0 {
		return json.RawMessage("{}"), nil
	}
	template, exists := t[name]
	if !exists {
		return nil, fmt.Errorf("the step builds on the PodTemplate %q: give the file that it is in with --pod-template", name)
	}

	return template, nil
}

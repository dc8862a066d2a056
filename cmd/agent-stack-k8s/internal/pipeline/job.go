package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Job makes up the job that Buildkite would make of the step. Its UUID and
// addresses are examples; the same number gives the same job.
func (s Step) Job(number int) (jobpod.Job, error) {
	plugins, problems := s.Plugins()
	if len(problems) > 0 {
		return jobpod.Job{}, fmt.Errorf("%s.plugins: %s", s.Path, problems[0].Text)
	}
	uuid := fmt.Sprintf("00000000-0000-4000-8000-%012d", number)
	build := "https://buildkite.com/example/example/builds/1"

	return jobpod.Job{
		UUID:        uuid,
		URL:         build + "#" + uuid,
		Env:         s.environment(plugins, build),
		Rules:       s.rules(),
		ScheduledAt: time.Unix(0, 0).UTC(),
	}, nil
}

func (s Step) environment(plugins []Plugin, build string) []string {
	var env []string
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	for _, node := range []*document.Node{s.root.Get("env"), s.Node.Get("env")} {
		if node != nil {
			for _, entry := range node.Entries {
				set(entry.Key, entry.Value.Text())
			}
		}
	}
	set("BUILDKITE_BRANCH", "main")
	set("BUILDKITE_BUILD_URL", build)
	set("BUILDKITE_COMMAND", s.command())
	set("BUILDKITE_IMAGE", s.image())
	set("BUILDKITE_LABEL", s.Node.Get("label").Text())
	set("BUILDKITE_PIPELINE_SLUG", "example")
	set("BUILDKITE_PLUGINS", encodePlugins(plugins))
	set("BUILDKITE_REPO", "https://github.com/example/example.git")
	set("BUILDKITE_STEP_KEY", s.Node.Get("key").Text())

	return env
}

// command joins the step's commands as Buildkite does.
func (s Step) command() string {
	for _, key := range []string{"command", "commands", "script"} {
		node := s.Node.Get(key)
		if node.IsNull() {
			continue
		}
		if node.Kind != document.List {
			return node.Text()
		}
		var lines []string
		for _, item := range node.Items {
			lines = append(lines, item.Text())
		}

		return strings.Join(lines, "\n")
	}

	return ""
}

// image is the step's, or else the pipeline's.
func (s Step) image() string {
	if image := s.Node.Get("image").Text(); image != "" {
		return image
	}

	return s.root.Get("image").Text()
}

// rules are the step's agents, or else the pipeline's.
func (s Step) rules() []string {
	node := s.Node.Get("agents")
	if node.IsNull() {
		node = s.root.Get("agents")
	}
	if node.IsNull() {
		return nil
	}
	var rules []string
	for _, entry := range node.Entries {
		rules = append(rules, entry.Key+"="+entry.Value.Text())
	}
	for _, item := range node.Items {
		rules = append(rules, item.Text())
	}
	slices.Sort(rules)

	return rules
}

// encodePlugins writes plugins as a job's BUILDKITE_PLUGINS has them.
func encodePlugins(plugins []Plugin) string {
	if len(plugins) == 0 {
		return ""
	}
	list := make([]any, len(plugins))
	for i, plugin := range plugins {
		list[i] = map[string]any{plugin.Source: plugin.Config.Value()}
	}
	text, err := json.Marshal(list)
	if err != nil {
		// Every value came from a document, which holds only what JSON knows.
		panic("encode plugins: " + err.Error())
	}

	return string(text)
}

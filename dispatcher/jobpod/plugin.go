package jobpod

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/depth"
)

const (
	// maxPodSpecBytes keeps a pod well below what etcd takes (1.5 MiB), with
	// room for what the mutator adds.
	maxPodSpecBytes = 1 << 20
	// shortPluginName is the plugin's name as pipelines write it.
	shortPluginName = "kubernetes"
	pluginsVariable = "BUILDKITE_PLUGINS"
)

// Where authors write things in a pipeline step. Errors speak of these.
var (
	pluginsPath  = field.NewPath("plugins")
	pluginPath   = pluginsPath.Child(shortPluginName)
	podSpecPath  = pluginPath.Child("podSpec")
	metadataPath = pluginPath.Child("metadata")

	podTemplatePath = pluginPath.Child("podTemplate")
)

// kubernetesPlugin is the configuration of a job's kubernetes plugin, in the
// author's own bytes. The zero value is a job without the plugin.
type kubernetesPlugin struct {
	podSpec     json.RawMessage
	podTemplate json.RawMessage
	metadata    json.RawMessage
	// present tells a job with the plugin from one without.
	present bool
	// others are the fields that the mutator reads.
	others map[string]json.RawMessage
}

// findPlugin picks the kubernetes plugin out of a job's BUILDKITE_PLUGINS: a
// list of names and of objects with one key, a name. Errors never quote the
// text, which may hold secrets of other plugins.
func findPlugin(plugins string) (kubernetesPlugin, field.ErrorList) {
	if strings.TrimSpace(plugins) == "" {
		return kubernetesPlugin{}, nil
	}
	var entries []json.RawMessage
	if err := json.Unmarshal([]byte(plugins), &entries); err != nil {
		return kubernetesPlugin{}, field.ErrorList{invalid(pluginsPath, "not a JSON list of plugins: %s; correct the environment variable %s or remove it", jsonProblem(err), pluginsVariable)}
	}
	var found []json.RawMessage
	for i, entry := range entries {
		config, isOurs, err := matchPlugin(entry, pluginsPath.Index(i))
		if err != nil {
			return kubernetesPlugin{}, field.ErrorList{err}
		}
		if isOurs {
			found = append(found, config)
		}
	}
	switch len(found) {
	case 0:
		return kubernetesPlugin{}, nil
	case 1:
		return parsePlugin(found[0])
	default:
		return kubernetesPlugin{}, field.ErrorList{invalid(pluginsPath, "the kubernetes plugin is there %d times; keep one", len(found))}
	}
}

// matchPlugin reports whether the entry is the kubernetes plugin, and its
// configuration.
func matchPlugin(entry json.RawMessage, path *field.Path) (json.RawMessage, bool, *field.Error) {
	var name string
	if json.Unmarshal(entry, &name) == nil {
		return nil, isKubernetesPlugin(name), nil
	}
	var configs map[string]json.RawMessage
	if err := json.Unmarshal(entry, &configs); err != nil || len(configs) != 1 {
		return nil, false, invalid(path, "a plugin is a name, or an object whose only key is the name")
	}
	for name, config := range configs {
		return config, isKubernetesPlugin(name), nil
	}
	return nil, false, nil
}

// isKubernetesPlugin compares a plugin's source without its version and
// without what Buildkite and authors may put around it.
func isKubernetesPlugin(name string) bool {
	name, _, _ = strings.Cut(name, "#")
	name = strings.TrimPrefix(name, "https://")
	name = strings.TrimSuffix(name, ".git")
	return name == contract.KubernetesPlugin || name == shortPluginName
}

// parsePlugin splits the plugin's fields by who reads them.
func parsePlugin(config json.RawMessage) (kubernetesPlugin, field.ErrorList) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(orNull(config), &fields); err != nil {
		return kubernetesPlugin{}, field.ErrorList{invalid(pluginPath, "want an object with fields such as podSpec")}
	}
	plugin := kubernetesPlugin{
		present: true,
		podSpec: take(fields, "podSpec"), podTemplate: take(fields, "podTemplate"), metadata: take(fields, "metadata"),
		others: fields,
	}
	if size := len(plugin.podSpec); size > maxPodSpecBytes {
		return kubernetesPlugin{}, field.ErrorList{invalid(podSpecPath, "%d bytes; at most %d fit into a pod", size, maxPodSpecBytes)}
	}
	if depth.Of(config) > depth.Max {
		return kubernetesPlugin{}, field.ErrorList{invalid(pluginPath, "nested more than %d levels deep", depth.Max)}
	}
	return plugin, nil
}

// take removes a field and returns it; null counts as absent.
func take(fields map[string]json.RawMessage, name string) json.RawMessage {
	value := fields[name]
	delete(fields, name)
	if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return nil
	}
	return value
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// invalid is field.Invalid without the value: values of a job may be secret,
// and authors know what they wrote.
func invalid(path *field.Path, format string, arguments ...any) *field.Error {
	return field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(format, arguments...))
}

// jsonProblem says what is wrong with a JSON text without quoting more than a
// character of it.
func jsonProblem(err error) string {
	switch err := err.(type) { //nolint:errorlint // encoding/json returns these two unwrapped
	case *json.SyntaxError:
		return fmt.Sprintf("%s at byte %d", err, err.Offset)
	case *json.UnmarshalTypeError:
		return fmt.Sprintf("found a JSON %s at byte %d", err.Value, err.Offset)
	default:
		return "unreadable"
	}
}

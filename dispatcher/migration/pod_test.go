package migration_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

const platform = `
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: ghcr.io/buildkite/agent:3.138.1
entrypointImage: ghcr.io/buildkite/agent-stack-k8s/entrypoint:latest
resourceClasses: {large: {resources: {requests: {cpu: "4"}}}}
`

// Parts of steps that what is tested builds on.
const (
	ordinaryPlugin = `{podSpec: {containers: [{image: alpine, command: [make test]}], volumes: [{name: cache, emptyDir: {}}]}, sidecars: [{name: redis, image: redis}]}`
	mirrors        = `{volume: {name: mirrors, emptyDir: {}}}`
	template       = `{"nodeSelector": {"pool": "builds"}}`
)

func parse(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// put sets a value at a path of keys.
func put(object map[string]any, path string, value any) {
	first, rest, isNested := strings.Cut(path, ".")
	if !isNested {
		object[first] = value
		return
	}
	inner, isObject := object[first].(map[string]any)
	if !isObject {
		inner = map[string]any{}
		object[first] = inner
	}
	put(inner, rest, value)
}

// jobOf is a job whose step has a plugin.
func jobOf(t *testing.T, plugin map[string]any) jobpod.Job {
	t.Helper()
	text, err := json.Marshal([]any{map[string]any{"github.com/buildkite-plugins/kubernetes-buildkite-plugin": plugin}})
	if err != nil {
		t.Fatal(err)
	}
	return jobpod.Job{
		UUID: "01890000-0000-7000-8000-000000000000", URL: "https://buildkite.com/acme/app/builds/1#job", Priority: 5,
		Env: []string{
			"BUILDKITE_PLUGINS=" + string(text), "BUILDKITE_BUILD_URL=https://buildkite.com/acme/app/builds/1", "BUILDKITE_BRANCH=main",
			"BUILDKITE_REPO=git@example.com:acme/app.git", "BUILDKITE_PIPELINE_SLUG=app", "BUILDKITE_STEP_KEY=test",
		},
		Rules: []string{"queue=linux"},
	}
}

// admit does to a job what the dispatcher and the mutator do.
func admit(t *testing.T, job jobpod.Job) *corev1.Pod {
	t.Helper()
	config, errs := mutator.ParseConfig([]byte(platform))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	settings := jobpod.PodSettings{Namespace: "builds", ControllerID: "acme-linux", Tags: jobpod.Tags{{Key: "queue", Value: "linux"}}}
	object, errs := jobpod.Pod(job, settings, json.RawMessage(template))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod); err != nil {
		t.Fatal(err)
	}
	result, errs := config.ForNamespace(pod.Namespace).Mutate(&pod)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if len(result.Warnings) > 0 {
		t.Errorf("warnings: %s", result.Warnings)
	}
	return &pod
}

func ordinary(t *testing.T) map[string]any {
	t.Helper()
	return parse(t, ordinaryPlugin).(map[string]any)
}

// TestPluginFields puts each field through the dispatcher and the mutator: it
// changes the pod, and nothing is said against it.
func TestPluginFields(t *testing.T) {
	for _, row := range migration.Of(migration.PluginField) {
		t.Run(row.Name, func(t *testing.T) {
			if row.Fate != migration.Honoured {
				t.Fatal("no test for a field that is not honoured")
			}
			without, with := ordinary(t), ordinary(t)
			if strings.HasPrefix(row.Name, "checkout.gitMirrors.") {
				put(without, "checkout.gitMirrors", parse(t, mirrors))
				put(with, "checkout.gitMirrors", parse(t, mirrors))
			}
			put(with, row.Name, parse(t, row.Example))
			before, after := admit(t, jobOf(t, without)), admit(t, jobOf(t, with))
			if row.Name == "metadata" {
				if after.Labels["team"] != "builds" || after.Annotations["owner"] != "builds" {
					t.Errorf("labels %v, annotations %v", after.Labels, after.Annotations)
				}
				return
			}
			if equality.Semantic.DeepEqual(before.Spec, after.Spec) {
				t.Errorf("%s: %s has no effect", row.Name, row.Example)
			}
		})
	}
}

// TestStepFields does the same with what is outside the plugin.
func TestStepFields(t *testing.T) {
	changes := map[string]func(job *jobpod.Job, example string){
		"image":                 func(job *jobpod.Job, example string) { job.Env = append(job.Env, "BUILDKITE_IMAGE="+example) },
		"agents.resource_class": func(job *jobpod.Job, example string) { job.Rules = append(job.Rules, "resource_class="+example) },
	}
	for _, row := range migration.Of(migration.Step) {
		t.Run(row.Name, func(t *testing.T) {
			job := jobOf(t, ordinary(t))
			before := admit(t, job)
			changes[row.Name](&job, row.Example)
			if equality.Semantic.DeepEqual(before.Spec, admit(t, job).Spec) {
				t.Error("no effect")
			}
		})
	}
}

// TestLabelsAndAnnotations looks for each on the pod of a job: those that are
// honoured are there, the others are not, but what is named in their place is,
// and an author cannot set them.
func TestLabelsAndAnnotations(t *testing.T) {
	plugin := ordinary(t)
	plugin["podTemplate"] = "builds"
	pod := admit(t, jobOf(t, plugin))
	text, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	for kind, present := range map[migration.Kind]map[string]string{migration.Label: pod.Labels, migration.Annotation: pod.Annotations} {
		for _, row := range migration.Of(kind) {
			t.Run(row.Name, func(t *testing.T) {
				name := strings.NewReplacer("<key>", "queue", "<n>", "0").Replace(row.Name)
				_, isThere := present[name]
				switch row.Fate {
				case migration.Honoured:
					if !isThere {
						t.Errorf("the pod has no %s %s", kind, name)
					}
				case migration.Refused:
					if isThere || !strings.Contains(string(text), row.As) {
						t.Errorf("%s is there: %t; in its place should be %q:\n%s", name, isThere, row.As, text)
					}
					refuses(t, string(kind)+"s", name)
				default:
					t.Fatal("no test for a name that is warned of")
				}
			})
		}
	}
}

// refuses wants an author's own label or annotation to be refused.
func refuses(t *testing.T, list, name string) {
	t.Helper()
	plugin := ordinary(t)
	put(plugin, "metadata", map[string]any{list: map[string]any{name: "x"}})
	_, errs := jobpod.Pod(jobOf(t, plugin), jobpod.PodSettings{}, nil)
	if len(errs) != 1 || !strings.Contains(errs[0].Field, name) {
		t.Errorf("%s of an author: %v", name, errs.ToAggregate())
	}
}

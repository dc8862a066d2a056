package jobpod

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the expected half of golden files")

const goldenSeparator = "---\n"

// goldenCase is the first document of a golden file: a job, and what it was
// dispatched with. Plugins and Env become the job's environment.
type goldenCase struct {
	About    string            `json:"about"`
	Plugins  json.RawMessage   `json:"plugins,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Priority int               `json:"priority,omitempty"`
	Tags     string            `json:"tags,omitempty"`
	Image    string            `json:"image,omitempty"`
	Secret   string            `json:"secret,omitempty"`
	Rules    []string          `json:"rules,omitempty"`
	Prohibit bool              `json:"prohibit,omitempty"`
	// Template is the pod spec of the PodTemplate that exists.
	Template json.RawMessage `json:"template,omitempty"`
}

// goldenResult is the second document: what Pod made of it.
type goldenResult struct {
	Pod    map[string]any `json:"pod,omitempty"`
	Errors []string       `json:"errors,omitempty"`
}

// TestPodGolden runs every file of testdata/pod. Question and answer share a
// file, so there can be no answer without a question.
func TestPodGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/pod/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find golden files: %v, %d found", err, len(paths))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) { testGolden(t, path) })
	}
}

func testGolden(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	question, want, _ := strings.Cut(string(data), goldenSeparator)
	var golden goldenCase
	if err := yaml.UnmarshalStrict([]byte(question), &golden); err != nil {
		t.Fatal(err)
	}
	first := podOf(t, golden)
	if second := podOf(t, golden); first != second {
		t.Errorf("two runs differ:\n%s", cmp.Diff(first, second))
	}
	if *update {
		if err := os.WriteFile(path, []byte(question+goldenSeparator+first), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("%s; go test ./dispatcher -run TestPodGolden -update rewrites it (-want +got):\n%s", golden.About, diff)
	}
}

// podOf returns the second document for a case.
func podOf(t *testing.T, golden goldenCase) string {
	t.Helper()
	tags, err := ParseTags(strings.Split(golden.Tags, ","))
	if err != nil {
		t.Fatal(err)
	}
	job := Job{UUID: goldenUUID, URL: "https://buildkite.test/job", Priority: golden.Priority, Rules: golden.Rules}
	for name, value := range golden.Env {
		job.Env = append(job.Env, name+"="+value)
	}
	if golden.Plugins != nil {
		job.Env = append(job.Env, "BUILDKITE_PLUGINS="+string(golden.Plugins))
	}
	settings := PodSettings{Namespace: "jobs", ControllerID: "acme-kubernetes", Tags: tags, AgentImage: golden.Image, AgentTokenSecret: golden.Secret, ProhibitPlugin: golden.Prohibit}
	before := fmt.Sprint(job, settings)
	pod, errs := Pod(job, settings, golden.Template)
	if after := fmt.Sprint(job, settings); before != after {
		t.Errorf("Pod changed its arguments:\n%s", cmp.Diff(before, after))
	}
	var result goldenResult
	if pod != nil {
		result.Pod = pod.Object
	}
	for _, err := range errs {
		result.Errors = append(result.Errors, err.Error())
	}
	text, err := yaml.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const goldenUUID = "01920000-0000-4000-8000-000000000001"

// withPlugin is a job whose kubernetes plugin has this configuration.
func withPlugin(config string) Job {
	return Job{UUID: goldenUUID, Env: []string{`BUILDKITE_PLUGINS=[{"kubernetes":` + config + `}]`}}
}

func TestPodKeepsNumbersAndUnknownFields(t *testing.T) {
	const podSpec = `{"containers":[{"image":"a","future":{"exact":12345678901234567890,"small":1.10}}],"terminationGracePeriodSeconds":5}`
	pod, errs := Pod(withPlugin(`{"podSpec":`+podSpec+`}`), PodSettings{}, nil)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	body, err := pod.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"exact":12345678901234567890`, `"small":1.10`, `"terminationGracePeriodSeconds":5`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing from %s", want, body)
		}
	}
}

func TestPodLimits(t *testing.T) {
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	cases := map[string]struct {
		job  Job
		want string
	}{
		"too large":         {withPlugin(`{"podSpec":{"x":"` + strings.Repeat("a", maxPodSpecBytes) + `"}}`), "plugins.kubernetes.podSpec"},
		"too deep":          {withPlugin(`{"podSpec":{"x":` + deep + `}}`), "plugins.kubernetes"},
		"far too deep":      {withPlugin(strings.Repeat("[", 20000) + strings.Repeat("]", 20000)), "plugins"},
		"brackets in texts": {withPlugin(`{"podSpec":{"x":"` + strings.Repeat(`[\"{`, 100) + `"}}`), ""},
		"no UUID":           {Job{}, "uuid"},
		"UUID of a path":    {Job{UUID: "../x"}, "uuid"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := Pod(tc.job, PodSettings{}, nil)
			if got := firstField(errs); got != tc.want {
				t.Errorf("got an error at %q, want %q: %v", got, tc.want, errs.ToAggregate())
			}
		})
	}
}

func firstField(errs field.ErrorList) string {
	if len(errs) == 0 {
		return ""
	}
	return errs[0].Field
}

// A job's environment may hold secrets, and errors reach logs.
func TestPodErrorsQuoteNoSecrets(t *testing.T) {
	for name, plugins := range map[string]string{
		"not JSON":       `[{"docker":{"password":"hunter2"}},`,
		"not a list":     `{"docker":"hunter2"}`,
		"a number":       `[1, "hunter2"]`,
		"two keys":       `[{"hunter2":1,"b":2}]`,
		"podSpec text":   `[{"kubernetes":{"podSpec":"hunter2"}}]`,
		"plugin text":    `[{"kubernetes":"hunter2"}]`,
		"container text": `[{"kubernetes":{"podSpec":{"containers":["hunter2"]}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := Pod(Job{UUID: goldenUUID, Env: []string{"BUILDKITE_PLUGINS=" + plugins}}, PodSettings{}, nil)
			if len(errs) == 0 {
				t.Fatal("no error")
			}
			if text := errs.ToAggregate().Error(); strings.Contains(text, "hunter2") {
				t.Errorf("the error quotes the environment: %s", text)
			}
		})
	}
}

func TestMutatorLabel(t *testing.T) {
	for _, name := range []string{"", "canary"} {
		pod, errs := Pod(Job{UUID: goldenUUID}, PodSettings{Namespace: "jobs", Mutator: name}, nil)
		if len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		if got, set := pod.GetLabels()["buildkite.com/mutator"]; got != name || set != (name != "") {
			t.Errorf("mutator %q: the label is %q, %t", name, got, set)
		}
	}
}

func FuzzPod(f *testing.F) {
	f.Add(`[{"kubernetes":{"podSpec":{"containers":[{"name":"a"}]},"metadata":{"labels":{"a":"b"}}}}]`)
	f.Add(`["kubernetes#v1"]`)
	f.Add(`[{"kubernetes":null}]`)
	f.Fuzz(func(t *testing.T, plugins string) {
		pod, errs := Pod(Job{UUID: goldenUUID, Env: []string{"BUILDKITE_PLUGINS=" + plugins}}, PodSettings{Namespace: "jobs"}, nil)
		if (pod == nil) == (len(errs) == 0) {
			t.Fatalf("pod %v with errors %v", pod, errs)
		}
		if pod == nil {
			return
		}
		if _, err := pod.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		if pod.GetName() != PodName(goldenUUID) || pod.GetNamespace() != "jobs" {
			t.Errorf("pod %s/%s", pod.GetNamespace(), pod.GetName())
		}
	})
}

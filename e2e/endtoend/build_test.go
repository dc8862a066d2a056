package endtoend

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// patience bounds every wait for a job or a pod: a slow machine, not a slow
// product.
const patience = 3 * time.Minute

// build is a build on the simulator.
type build struct{ uuid, url string }

type buildOptions struct {
	repository string // default: the sample repository
	commit     string // default: HEAD
}

func start(t *testing.T, pipeline string) *build {
	t.Helper()
	return startWith(t, buildOptions{repository: "sample"}, pipeline)
}

func startWith(t *testing.T, options buildOptions, pipeline string) *build {
	t.Helper()
	// Names in the simulator are lower-case words.
	slug := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	created, err := client.CreateBuild(t.Context(), simulator.BuildRequest{
		Slug: slug, Repository: options.repository, Commit: options.commit, Message: t.Name(),
		Pipeline: withImages(pipeline),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &build{uuid: created.UUID, url: created.URL}
}

func (b *build) wait(t *testing.T) simulator.Build {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended, err := client.WaitForBuild(ctx, b.uuid, nil)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, b.describe(), clusterState(t))
	}
	return ended
}

func (b *build) passes(t *testing.T) {
	t.Helper()
	b.ends(t, "passed")
}

func (b *build) fails(t *testing.T) {
	t.Helper()
	b.ends(t, "failed")
}

// ends waits for the build and asks the oracle about each of its jobs.
func (b *build) ends(t *testing.T, state string) {
	t.Helper()
	ended := b.wait(t)
	if string(ended.State) != state {
		t.Fatalf("the build %s, want %s\n%s", ended.State, state, b.describe())
	}
	for _, each := range ended.Commands() {
		record, known := sim.Oracle().Job(each.UUID)
		if !known || record.Acquisitions != 1 || record.Finishes != 1 {
			t.Errorf("job %s was acquired %d times and finished %d times, want once each", each.Label, record.Acquisitions, record.Finishes)
		}
	}
}

// describe is what a person would want to see of a build that went wrong.
func (b *build) describe() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	current, err := client.Build(ctx, b.uuid)
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, each := range current.Commands() {
		log, err := client.JobLog(ctx, each.UUID)
		if err != nil {
			log = err.Error()
		}
		fmt.Fprintf(&text, "job %q %s (%s): %s\n%s\n", each.Label, each.UUID, each.State, exitText(each), log)
	}
	return text.String()
}

func exitText(j simulator.Job) string {
	if j.ExitStatus == nil {
		return "no exit status"
	}
	return fmt.Sprintf("exit status %d %s", *j.ExitStatus, j.SignalReason)
}

func (b *build) jobs(t *testing.T, label string) []simulator.Job {
	t.Helper()
	current, err := client.Build(t.Context(), b.uuid)
	if err != nil {
		t.Fatal(err)
	}
	var found []simulator.Job
	for _, each := range current.Commands() {
		if each.Label == label {
			found = append(found, each)
		}
	}
	if len(found) == 0 {
		t.Fatalf("the build has no job %q:\n%s", label, b.describe())
	}
	return found
}

func (b *build) job(t *testing.T, label string) *job {
	t.Helper()
	return &job{build: b, label: label, uuid: b.jobs(t, label)[0].UUID}
}

type interval struct{ start, finish time.Time }

// runIntervals returns when the jobs of that label ran.
func (b *build) runIntervals(t *testing.T, label string) []interval {
	t.Helper()
	var all []interval
	for _, each := range b.jobs(t, label) {
		all = append(all, interval{each.StartedAt, each.FinishedAt})
	}
	return all
}

func (b *build) hasAnnotation(t *testing.T, name, body string) {
	t.Helper()
	all, err := client.Annotations(t.Context(), b.uuid)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range all {
		if each.Context == name && strings.Contains(each.Body, body) {
			return
		}
	}
	t.Errorf("annotations %+v, want %q in context %q", all, body, name)
}

// repository makes a repository and returns its address with the commit.
func repository(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	content := map[string]simulator.File{}
	for path, text := range files {
		content[path] = simulator.File{Content: text, Mode: "100755"}
	}
	made, err := client.CreateRepository(t.Context(), simulator.RepositoryRequest{Name: name, Files: content})
	if err != nil {
		t.Fatal(err)
	}
	return made.URL + "#" + made.Commit
}

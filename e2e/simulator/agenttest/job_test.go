package agenttest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// everything is a job that uses all that the agent's commands offer, and uploads
// more steps. The uploaded ones are for an agent that pings.
const everything = `
agents: {queue: tests}
steps:
  - label: everything
    key: first
    artifact_paths: "out/*.txt"
    command: |
      set -eu
      echo "given is $(buildkite-agent meta-data get given)"
      buildkite-agent meta-data set colour green
      buildkite-agent meta-data exists colour && echo "colour exists"
      buildkite-agent meta-data exists shape || echo "shape does not: $?"
      echo "keys: $(buildkite-agent meta-data keys | sort | tr '\n' ' ')"
      buildkite-agent annotate "**bold**" --style info --context notes --priority 7
      buildkite-agent annotate " and more" --append --context notes --priority 7
      buildkite-agent annotate "gone" --context other
      buildkite-agent annotation remove --context other
      mkdir -p out sub && echo one > out/one.txt && echo two > sub/two.bin
      buildkite-agent artifact upload "sub/*"
      mkdir fetched && buildkite-agent artifact download "sub/*" fetched/ && cat fetched/sub/two.bin
      echo "hash: $(buildkite-agent artifact shasum sub/two.bin)"
      echo "step label: $(buildkite-agent step get label)"
      buildkite-agent step update label " renamed" --append
      echo "secret: $(buildkite-agent secret get PASSWORD --skip-redaction)"
      buildkite-agent oidc request-token --skip-redaction | tr '.' '\n' | wc -l
      buildkite-agent pipeline upload <<'YAML'
      steps:
        - label: uploaded
          command: echo "commit $$BUILDKITE_COMMIT, colour $$(buildkite-agent meta-data get colour)"
          agents: {queue: tests, os: "*"}
        - wait
        - label: last
          command: buildkite-agent artifact download out/one.txt . && cat out/one.txt
          agents: [queue=tests]
      YAML
  - wait
  - label: after
    command: echo "job $BUILDKITE_PARALLEL_JOB of $BUILDKITE_PARALLEL_JOB_COUNT"
    parallelism: 2
`

func TestEverything(t *testing.T) {
	f := start(t, simulator.Options{Secrets: map[string]string{"PASSWORD": "open sesame"}})
	build := f.build(everything)
	first := build.Commands()[0]

	acquiring := f.startAgent("--acquire-job", first.UUID)
	if status := acquiring.wait(); status != 0 {
		t.Errorf("the acquiring agent exited with %d", status)
	}
	f.inState(first, "finished")
	f.wantLog(first, "given is before", "colour exists", "shape does not: 100", "keys: buildkite:git:commit colour given",
		"two\n", "step label: everything", "secret: open sesame", "3\n", "hash: ")
	if f.Failed() {
		return
	}

	// A pause between two pings is up to two ping intervals of a second: an agent
	// with less patience may leave while the next job waits.
	pinging := f.startAgent("--disconnect-after-idle-timeout", "5")
	ended := f.ended(build)
	pinging.wait()
	if ended.State != "passed" {
		t.Errorf("the build is %s", ended.State)
	}
	var labels []string
	for _, job := range ended.Commands() {
		labels = append(labels, job.Label)
	}
	if diff := cmp.Diff([]string{"everything renamed", "uploaded", "last", "after", "after"}, labels); diff != "" {
		t.Fatalf("jobs (-want +got):\n%s", diff)
	}
	f.wantLog(ended.Commands()[1], "colour green")
	f.wantLog(ended.Commands()[2], "one\n")
	f.wantLog(ended.Commands()[3], "job 0 of 2")
	f.wantLog(ended.Commands()[4], "job 1 of 2")
	checkContent(f, build)

	report := f.sim.Oracle().Report()
	if len(report.Records) != len(ended.Jobs) || len(report.Unfinished) > 0 {
		t.Errorf("the oracle knows %d of %d jobs; unfinished are %v", len(report.Records), len(ended.Jobs), report.Unfinished)
	}
	for _, job := range ended.Commands() {
		record := f.record(job)
		if record.Acquisitions != 1 || record.Starts != 1 || record.Finishes != 1 {
			t.Errorf("job %q: %+v", job.Label, record)
		}
	}
}

func checkContent(f *fixture, build simulator.Build) {
	f.Helper()
	annotations, err := f.client.Annotations(f.ctx, build.UUID)
	if err != nil || len(annotations) != 1 {
		f.Fatalf("annotations %v, %v", annotations, err)
	}
	got := []any{annotations[0].Body, annotations[0].Style, annotations[0].Priority, annotations[0].Context}
	if diff := cmp.Diff([]any{"**bold** and more", "info", 7, "notes"}, got); diff != "" {
		f.Errorf("annotation (-want +got):\n%s", diff)
	}
	artifacts, err := f.client.Artifacts(f.ctx, build.UUID, "")
	if err != nil {
		f.Fatal(err)
	}
	contents := map[string]string{}
	for _, artifact := range artifacts {
		data, err := f.client.DownloadArtifact(f.ctx, artifact.UUID)
		if err != nil {
			f.Fatal(err)
		}
		contents[artifact.Path] = string(data)
	}
	if diff := cmp.Diff(map[string]string{"out/one.txt": "one\n", "sub/two.bin": "two\n"}, contents); diff != "" {
		f.Errorf("artifacts (-want +got):\n%s", diff)
	}
	values, err := f.client.MetaData(f.ctx, build.UUID)
	if err != nil || values["colour"] != "green" || values["given"] != "before" {
		f.Errorf("meta-data %v, %v", values, err)
	}
}

// TestPluginFromGit clones a plugin that the simulator itself serves.
func TestPluginFromGit(t *testing.T) {
	f := start(t, simulator.Options{})
	plugin, err := f.client.CreateRepository(f.ctx, simulator.RepositoryRequest{Name: "greet-buildkite-plugin", Files: map[string]simulator.File{
		"hooks/environment":  {Content: "#!/bin/bash\nexport GREETING=\"hello $BUILDKITE_PLUGIN_GREET_NAME\"\n"},
		"hooks/post-command": {Content: "#!/bin/bash\necho \"after: $BUILDKITE_COMMAND_EXIT_STATUS\"\n"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	build := f.build(`steps: [{command: 'echo "$GREETING"; exit 3', agents: {queue: tests}, plugins: ["` + plugin.URL + `#main": {name: world}]}]`)
	job := build.Commands()[0]
	f.startAgent("--acquire-job", job.UUID).wait()
	ended := f.inState(job, "finished")
	f.wantLog(job, "hello world", "after: 3")
	if ended.Passed || ended.ExitStatus == nil || *ended.ExitStatus != 3 {
		t.Errorf("the job ended with %+v", ended)
	}
	if state := f.ended(build).State; state != "failed" {
		t.Errorf("the build is %s", state)
	}
}

// TestUploadOfBadPipeline has the agent hear why its steps were refused.
func TestUploadOfBadPipeline(t *testing.T) {
	f := start(t, simulator.Options{})
	build := f.build(`steps: [{command: "echo 'steps: [{command: x, colour: red}]' | buildkite-agent pipeline upload", agents: {queue: tests}}]`)
	job := build.Commands()[0]
	f.startAgent("--acquire-job", job.UUID).wait()
	f.wantLog(job, "pipeline upload rejected", "steps[0]: colour: unknown key")
	if ended := f.inState(job, "finished"); ended.Passed {
		t.Error("the job passed")
	}
}

package endtoend

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestJobWithoutPlugin(t *testing.T) {
	b := start(t, `
steps:
  - label: plain
    command: |
      echo "files: $(ls)"
      echo "pid $$, in $(pwd), as $(id -u)"
      git --no-pager log -1 --format=%s
`)
	b.passes(t)
	b.job(t, "plain").logs(t, "files: README.md", "in /workspace/build/buildkite, as 0", "Add files")
	if log := b.job(t, "plain").log(t); !regexp.MustCompile(`(?m)^pid \d+, in `).MatchString(log) {
		t.Errorf("the shell's own $$ did not survive:\n%s", log)
	}
}

func TestCommandAndArguments(t *testing.T) {
	b := start(t, `
steps:
  - label: build
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @SHELL@
                command: [sh, -c]
                args: ['echo "argument: <$0> <$1>"; cat README.md', "it's one", "two  words"]
`)
	b.passes(t)
	b.job(t, "build").logs(t, "argument: <it's one> <two  words>", "# sample")
}

func TestImageWithoutShell(t *testing.T) {
	b := start(t, `
steps:
  - label: static
    plugins:
      - kubernetes:
          commandParams:
            interposer: vector
          podSpec:
            containers:
              - image: @NOSHELL@
                command: [/hello]
                args: ["a  b", "it's"]
`)
	b.passes(t)
	b.job(t, "static").logs(t, `"a  b"`, `"it's"`)
}

func TestTwoJobContainersRunInOrder(t *testing.T) {
	b := start(t, `
steps:
  - label: two
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @AGENT@
                command: ["sleep 2; echo one > order; echo first container done"]
              - image: @SHELL@
                command: ["test \"$(cat order)\" = one && echo second saw $(cat order)"]
`)
	b.passes(t)
	log := b.job(t, "two").logs(t, "first container done", "second saw one")
	if strings.Index(log, "first container done") > strings.Index(log, "second saw one") {
		t.Errorf("the second container's output comes first:\n%s", log)
	}
}

func TestExitStatusOfTheCommandIsTheJobs(t *testing.T) {
	b := start(t, `
steps:
  - label: three
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @SHELL@
                command: ["exit 3"]
`)
	b.fails(t)
	b.job(t, "three").exits(t, 3)
	if statuses := containerStatuses(t, b.job(t, "three").pod()); statuses["container-0"] != 3 {
		t.Errorf("container statuses %v, want the job's status, 3, on container-0", statuses)
	}
}

func TestFailingCheckout(t *testing.T) {
	b := startWith(t, buildOptions{repository: simulatorURL + "/git/no-such-repository.git"}, `
steps:
  - label: lost
    command: echo not reached
`)
	b.fails(t)
	j := b.job(t, "lost")
	j.exitsNonZero(t)
	j.logs(t, "no-such-repository")
	if strings.Contains(j.log(t), "\nnot reached") {
		t.Error("the command ran although the checkout failed")
	}
	t.Logf("the job had ended %.1f s after it began", j.get(t).FinishedAt.Sub(j.get(t).StartedAt).Seconds())
	waitPodEnded(t, j.pod())
	if log := kubectl(t, "logs", j.pod(), "-c", "container-0"); !strings.Contains(log, "not run, because a container before this one did not succeed") {
		t.Errorf("the log of the container whose turn did not come does not say so:\n%s", log)
	}
}

func TestArtifacts(t *testing.T) {
	b := start(t, `
steps:
  - label: upload
    command: mkdir -p out && echo "hello artifact" > out/greeting.txt
    artifact_paths: out/*.txt
  - wait
  - label: download
    command: buildkite-agent artifact download out/greeting.txt . && cat out/greeting.txt
`)
	b.passes(t)
	b.job(t, "download").logs(t, "hello artifact")
}

func TestAgentCommandsFromAJobContainer(t *testing.T) {
	b := start(t, `
steps:
  - label: commands
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @SHELL@
                command:
                  - buildkite-agent meta-data set colour green
                  - echo "colour is $(buildkite-agent meta-data get colour)"
                  - echo "**well done**" | buildkite-agent annotate --style success --context demo
                  - |
                    printf 'steps:\n  - label: uploaded\n    command: echo "from an uploaded step"\n' | buildkite-agent pipeline upload
`)
	b.passes(t)
	b.job(t, "commands").logs(t, "colour is green")
	b.job(t, "uploaded").logs(t, "from an uploaded step")
	b.hasAnnotation(t, "demo", "**well done**")
}

func TestAnotherPluginBesideKubernetes(t *testing.T) {
	plugin := repository(t, "hooks-buildkite-plugin", map[string]string{
		"plugin.yml":         "name: hooks\ndescription: three hooks\nauthor: nobody\nrequirements: []\n",
		"hooks/environment":  "#!/bin/sh\nexport FROM_PLUGIN=yes\necho environment hook ran\n",
		"hooks/pre-command":  "#!/bin/sh\necho \"pre-command hook sees $FROM_PLUGIN\"\n",
		"hooks/post-command": "#!/bin/sh\necho \"post-command hook sees status $BUILDKITE_COMMAND_EXIT_STATUS\"\n",
	})
	b := start(t, `
steps:
  - label: hooks
    plugins:
      - `+plugin+`: ~
      - kubernetes:
          podSpec:
            containers:
              - image: @AGENT@
                command: ["echo command sees $FROM_PLUGIN"]
`)
	b.passes(t)
	b.job(t, "hooks").logs(t, "environment hook ran", "pre-command hook sees yes", "command sees yes", "post-command hook sees status 0")
}

func TestService(t *testing.T) {
	b := start(t, `
steps:
  - label: talks
    plugins:
      - kubernetes:
          sidecars:
            - image: @NOSHELL@
              command: [/hello, --listen=:8080]
              startupProbe:
                httpGet: {path: /, port: 8080}
                periodSeconds: 1
          podSpec:
            containers:
              - image: @SHELL@
                command: ["wget -q -O - http://127.0.0.1:8080/ && echo service answered"]
`)
	b.passes(t)
	b.job(t, "talks").logs(t, "service answered")
}

func TestCancelWhileRunning(t *testing.T) {
	b := start(t, `
steps:
  - label: long
    command: echo begun; sleep 300; echo never
`)
	j := b.job(t, "long")
	j.waitBegun(t)
	canceled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	t.Logf("cancelled job ended %s after the request", time.Since(canceled).Round(100*time.Millisecond))
	if strings.Contains(j.log(t), "\nnever") {
		t.Error("the command ran to its end")
	}
	waitPodEnded(t, j.pod())
}

func TestFieldUnknownToOurLibraryArrives(t *testing.T) {
	b := start(t, `
steps:
  - label: unknown
    command: echo not reached
    plugins:
      - kubernetes:
          podSpec:
            fieldOfTheFuture: {depth: 9007199254740993}
            containers:
              - image: @SHELL@
`)
	b.fails(t)
	// Only the API server can say this of a field: the whole of it went there.
	b.job(t, "unknown").logs(t, `unknown field "spec.fieldOfTheFuture"`)
}

func TestInvalidPluginFailsTheJobWithTheReason(t *testing.T) {
	b := start(t, `
steps:
  - label: list
    command: echo not reached
    plugins:
      - kubernetes:
          podSpec: [not, a, mapping]
  - label: misspelt
    command: echo not reached
    plugins:
      - kubernetes:
          gitEnvForm: []
          podSpec:
            containers:
              - image: @SHELL@
  - label: refused
    command: echo not reached
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @SHELL@
                livenessProbe: {exec: {command: ["true"]}}
`)
	b.fails(t)
	b.job(t, "list").logs(t, "podSpec")
	b.job(t, "misspelt").logs(t, "gitEnvForm", "gitEnvFrom")
	b.job(t, "refused").logs(t, "livenessProbe")
	for _, label := range []string{"list", "misspelt", "refused"} {
		j := b.job(t, label)
		j.exitsNonZero(t)
		if reason := j.signalReason(t); reason != "stack_error" {
			t.Errorf("job %s has signal reason %q, want stack_error, which retry rules can match", label, reason)
		}
	}
}

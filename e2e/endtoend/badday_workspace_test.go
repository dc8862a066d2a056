package endtoend

import (
	"strings"
	"testing"
)

func TestReadOnlyImagesAndArbitraryUser(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: nobody
    artifact_paths: made.txt
    plugins:
      - kubernetes:
          podSpec:
            securityContext: {runAsUser: 1234567, runAsGroup: 7654321, runAsNonRoot: true}
            containers:
              - name: build
                image: @SHELL@
                command:
                  - id -u > made.txt; echo user $(cat made.txt); touch /denied || echo read-only
                  - echo kept > "$HOME/note"; mktemp > /dev/null; echo "at home with $(cat "$HOME/note")"
                securityContext: {readOnlyRootFilesystem: true}
`)
	b.passes(t)
	b.job(t, "nobody").logs(t, "user 1234567", "read-only", "made.txt", "at home with kept")
}

func TestFullWorkspace(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: full
    plugins:
      - kubernetes:
          podSpec:
            volumes: [{name: workspace, emptyDir: {medium: Memory, sizeLimit: 4Mi}}]
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; dd if=/dev/zero of=filler bs=1M count=100 || echo dd ended with $?; exit 9"]}
`)
	b.fails(t)
	j := b.job(t, "full")
	j.exits(t, 9)
	j.logs(t, "No space left on device", "dd ended with 1")
	// What the containers tell each other has room of its own.
	if statuses := containerStatuses(t, j.pod()); statuses["build"] != 9 || statuses["agent"] != 9 {
		t.Errorf("the containers ended with %v, want the job's status, 9, on build and agent", statuses)
	}
}

// Where nothing fits into the workspace any more before the job begins, git says so,
// and the job has git's status: nothing of ours needs room there.
func TestWorkspaceFullFromTheStart(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: full
    plugins:
      - kubernetes:
          podSpec:
            volumes: [{name: workspace, emptyDir: {medium: Memory, sizeLimit: 4Mi}}]
            initContainers:
              - name: filler
                image: @SHELL@
                command: [sh, -c, "dd if=/dev/zero of=/workspace/filler bs=4k || true"]
                volumeMounts: [{name: workspace, mountPath: /workspace}]
            containers:
              - {name: build, image: @SHELL@, command: ["echo not reached"]}
`)
	b.fails(t)
	j := b.job(t, "full")
	j.exits(t, 128)
	if log := j.logs(t, "No space left on device"); strings.Contains(log, "\nnot reached") {
		t.Errorf("the command ran:\n%s", log)
	}
}

// What an earlier pod left on a volume that outlives pods neither confuses the
// coordination nor stops the checkout.
func TestStaleWorkspace(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: stale
    plugins:
      - kubernetes:
          podSpec:
            volumes: [{name: workspace, emptyDir: {}}]
            initContainers:
              - name: earlier
                image: @SHELL@
                securityContext: {runAsUser: 1500}
                command: [sh, -c]
                args:
                  - |
                    cd /workspace
                    mkdir -p sockets build/buildkite/.git .ssh run plugins
                    echo junk > buildkite.sock; echo junk > build/buildkite/.git/config; echo junk > build/buildkite/left-over
                    echo 'BUILDKITE_COMMAND=stale' > job-env; touch finished .ssh/id_rsa
                volumeMounts: [{name: workspace, mountPath: /workspace}]
            containers:
              - {name: build, image: @SHELL@, command: ["echo files $(ls)"]}
`)
	b.passes(t)
	b.job(t, "stale").logs(t, "files README.md")
}

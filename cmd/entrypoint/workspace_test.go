//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
)

// What the container, a job and the entrypoint tell Git is all there, whoever has
// the last word on the variables.
func TestGitConfiguration(t *testing.T) {
	p := newPod(t)
	p.jobEnv["GIT_CONFIG_COUNT"] = "1"
	p.jobEnv["GIT_CONFIG_KEY_0"] = "job.key"
	p.jobEnv["GIT_CONFIG_VALUE_0"] = "from the job"
	p.startCheckout("true")
	const value = `it's "quoted"! $HOME`
	p.startJob(1, `for key in container.key.with=sign.a container.key job.key safe.directory; do git config --get-all $key; done`,
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=container.key", "GIT_CONFIG_VALUE_0="+value,
		"GIT_CONFIG_KEY_1=container.key.with=sign.a", "GIT_CONFIG_VALUE_1=with a sign")
	p.startAgent("--containers=2", uuid).wantStatus(0)
	wantInOrder(t, p.result().Log, "with a sign\n", value+"\n", "from the job\n", "*\n")
}

// The bin volume may be an image, which nobody can write to.
func TestBinVolumeStaysAsItIs(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	p.startJob(1, "true")
	p.startAgent("--containers=2", uuid).wantStatus(0)
	entries, err := os.ReadDir(p.path("bin"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "entrypoint" {
		t.Errorf("want the entrypoint alone, got %v, %v", entries, err)
	}
	if !p.there("agent/buildkite-agent") {
		t.Error("the agent is not where the containers run it from")
	}
}

func TestNoAgentVolume(t *testing.T) {
	p := newPod(t)
	agent := p.startAgent("--containers=1", "--agent-directory="+p.path("no/such"), uuid)
	agent.wantStatus(1)
	wantInOrder(t, agent.output.String(), "no/such must be a volume that all containers mount")
}

// Containers of other users may read the job's environment files.
func TestJobFilesAreOpen(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	p.startJob(1, `echo "mode $(stat -c %a "$BUILDKITE_JOB_CONTEXT_DIR"/job-env-json-*)"`)
	p.startAgent("--containers=2", uuid).wantStatus(0)
	wantInOrder(t, p.result().Log, "mode 644\n")
}

func TestOpeningGroup(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	p.startJob(1, "true")
	p.startAgent("--containers=2", "--names=checkout,build", "--images=the/agent:1,registry:5000/build@sha256:abc", "--mutator-version=v1.2.3", uuid).wantStatus(0)
	wantInOrder(t, p.result().Log, "~~~ Kubernetes pod\n", "mutator    v1.2.3\n", "container  checkout (the/agent:1), started after ",
		"container  build (registry:5000/build@sha256:abc), started after ", "prepared   ", "held       ", "agent      ")
}

// One user needs no opening, and nothing is changed behind its back.
func TestSameUser(t *testing.T) {
	p := newPod(t)
	p.startCheckout("umask 022; touch workspace/file; umask")
	job := p.startJob(1, "stat -c %a workspace/file")
	p.startAgent("--containers=2", uuid).wantStatus(0)
	if log := p.result().Log; !strings.Contains(log, "644\n") || strings.Contains(job.output.String(), "opened") {
		t.Errorf("the workspace was opened:\n%s", log)
	}
}

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// publicKey is what people paste by mistake.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExample me@here"

// withUser makes the pod's user database know the test's user.
func (p *pod) withUser(home string) {
	p.t.Helper()
	if err := os.Mkdir(p.path(home), 0o777); err != nil {
		p.t.Fatal(err)
	}
	line := fmt.Sprintf("me:x:%d:0::%s:/bin/sh\n", os.Getuid(), p.path(home))
	if err := os.WriteFile(p.path("passwd"), []byte(line), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// The checkout finds the keys in the home directories and not in its environment;
// a later container has them in both the directory and the environment.
func TestSSH(t *testing.T) {
	p := newPod(t)
	p.withUser("passwd-home")
	variables := []string{"SSH_PRIVATE_RSA_KEY=" + publicKey, "SSH_CONFIG=Host a", "SSH_KNOWN_HOSTS=a ssh-rsa A"}
	script := `cat passwd-home/.ssh/id_rsa workspace/home/.ssh/config > seen; echo b ssh-rsa B >> "$HOME/.ssh/known_hosts"
		echo "checkout has $(env | grep -c ^SSH_)"`
	p.start(append(variables, "BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout+"="+script, "HOME="+p.path("workspace/home")), "run", "--id=0")
	p.startJob(1, `echo "job has $(env | grep -c ^SSH_)"; cat workspace/.ssh/known_hosts; test ! -e job-home/.ssh`,
		append(variables, "HOME="+p.path("job-home"))...)
	agent := p.startAgent("--containers=2", uuid)
	agent.wantStatus(0)

	log := p.result().Log
	wantInOrder(t, log, "+++ SSH\nSSH_PRIVATE_RSA_KEY is a public key", "checkout has 0", "job has 3", "a ssh-rsa A\nb ssh-rsa B")
	if strings.Count(log, "is a public key") != 1 {
		t.Errorf("want the sentence once:\n%s", log)
	}
	if seen, err := os.ReadFile(p.path("seen")); err != nil || string(seen) != publicKey+"\nHost a\n" {
		t.Errorf("the checkout saw %q, %v", seen, err)
	}
	if strings.Contains(log+agent.output.String(), "ExampleExample") {
		t.Error("the key is in a log")
	}
	if left, _ := filepath.Glob(p.path("workspace/.ssh/.writing*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// Keys that are for the checkout alone do not get onto the workspace.
func TestPrivateSSH(t *testing.T) {
	p := newPod(t)
	p.withUser("home")
	const variable = "SSH_PRIVATE_RSA_KEY=" + publicKey
	p.start([]string{variable, "BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout + "=cat home/.ssh/id_rsa > seen"},
		"run", "--id=0", "--ssh-directory="+p.path("private"))
	p.startCommand([]string{"run", "--id=1", "--ssh-directory=none", "--interposer=buildkite", "--commands=1", "--", "true"}, variable)
	p.startAgent("--containers=2", uuid).wantStatus(0)

	if !p.there("seen") || p.there("workspace/.ssh") {
		t.Error("want the key in the private directory and nothing on the workspace")
	}
	if info, err := os.Stat(p.path("private")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: want a directory closed to others", info, err)
	}
}

// Git gets to know of the files where ssh does not look for them.
func TestGitSSHCommand(t *testing.T) {
	p := newPod(t)
	p.withUser("home")
	if err := os.Mkdir(p.path("home/.ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.start([]string{"SSH_PRIVATE_RSA_KEY=" + publicKey, "BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout + `=echo "git uses $GIT_SSH_COMMAND"`},
		"run", "--id=0")
	p.startAgent("--containers=1", uuid).wantStatus(0)
	wantInOrder(t, p.result().Log, "git uses ssh -i '"+p.path("workspace/.ssh/id_rsa")+"'")
}

//go:build linux && root

// The tests in this file need what a contributor's minute does not give: root, to
// be other users and to mount; and git, ssh-keygen, setpriv and unshare.
//
//	go test -tags root ./cmd/entrypoint

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newSharedPod returns a pod whose volumes are open to all users, as empty ones
// are, with the agent in an image that all can read.
func newSharedPod(t *testing.T) *pod {
	t.Helper()
	p := newPod(t)
	for path := p.directory; path != os.TempDir(); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"agent", "run", "workspace"} {
		if err := os.Chmod(p.path(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("install", "-D", "-m", "755", self, p.path("image/buildkite-agent")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if err := os.Mkdir(p.path("result.d"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.path("result.d"), 0o777); err != nil {
		t.Fatal(err)
	}
	p.agentEnv = append(p.agentEnv, agentResult+"="+p.path("result.d/result"), agentTokenCopy+"="+p.path("result.d/token-copy"))

	return p
}

// as makes the next containers run as a user, with none of root's powers unless
// they are named, as Kubernetes gives and takes them.
func (p *pod) as(user int, capabilities ...string) {
	bounding := "--bounding-set=-all"
	for _, capability := range capabilities {
		bounding += ",+" + capability
	}
	id := strconv.Itoa(user)
	p.prefix = []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--inh-caps=-all", bounding}
}

// usual are those of root in a container that drops none, as far as files go.
var usual = []string{"chown", "dac_override", "fowner"}

// startSharedAgent starts the agent, whose result the pod can read.
func (p *pod) startSharedAgent(arguments ...string) *container {
	p.t.Helper()
	c := p.startAgent(append(arguments, "--agent-binary="+p.path("image/buildkite-agent"))...)
	p.t.Cleanup(func() { _ = os.Remove(p.path("result")) })

	return c
}

func (p *pod) sharedResult() result {
	p.t.Helper()
	if err := os.Rename(p.path("result.d/result"), p.path("result")); err != nil {
		p.t.Fatal(err)
	}

	return p.result()
}

// What checkout leaves, in an odd order of modes, and what a later container does
// with it: read, write, remove and commit.
const (
	cloneScript = `mkdir -p workspace/build/buildkite; cd workspace/build/buildkite; git init -q .; echo a > file; echo b > gone
		printf '#!/bin/sh\necho program' > program; chmod 755 program; mkdir d; echo c > d/c; chmod 444 d/c
		git -c user.name=a -c user.email=a@a add .; git -c user.name=a -c user.email=a@a commit -qm first`
	workScript = `cd workspace/build/buildkite; git diff-files --quiet; test -z "$(git status --porcelain)"; ./program
		echo more >> file; git rm -q gone; rm -f d/c; echo new > "d/new.$(id -u)"; git add .
		git -c user.name=b -c user.email=b@b commit -qm "by $(id -u)"; git log --format=%s; mkdir -p out; echo x > "out/$(id -u)"; echo gone > gone; git add .
		git -c user.name=b -c user.email=b@b commit -qm again`
)

func TestUsers(t *testing.T) {
	const dropped = -1 // root without its powers
	cases := map[string][]int{
		"root, then 1000":            {0, 1000},
		"1000, then root":            {1000, 0},
		"1000, then root dropped":    {1000, dropped},
		"root dropped, then 1000":    {dropped, 1000},
		"1000, then 2000":            {1000, 2000},
		"root, 1000, 2000 and again": {0, 1000, 2000, 1000, dropped},
	}
	for name, users := range cases {
		t.Run(name, func(t *testing.T) {
			p := newSharedPod(t)
			var checkout *container
			for id, user := range users {
				switch user {
				case dropped:
					p.as(0)
				case 0:
					p.as(0, usual...)
				default:
					p.as(user)
				}
				if id == 0 {
					checkout = p.startCheckout(cloneScript)

					continue
				}
				p.startJob(id, workScript)
			}
			p.as(max(users[0], 0))
			p.startSharedAgent("--containers="+strconv.Itoa(len(users)), uuid).wantStatus(0)
			wantInOrder(t, p.sharedResult().Log, "program", "by ", "first")
			// The one that was given a mode.
			wantInOrder(t, checkout.output.String(), "opened 1 of ")
		})
	}
}

// A mount of the user's on the workspace, and the keys, stay as they are.
func TestMountsAreLeftAlone(t *testing.T) {
	p := newSharedPod(t)
	for _, name := range []string{"workspace/cache", "workspace/.ssh", "volume"} {
		if err := os.Mkdir(p.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// On the same file system, as most volumes of a node are.
	if err := unix.Mount(p.path("volume"), p.path("workspace/cache"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(p.path("workspace/cache"), 0) })
	p.as(0, usual...)
	p.startCheckout("umask 077; touch workspace/cache/file workspace/.ssh/file workspace/file")
	p.as(1000)
	p.startJob(1, "true")
	p.startSharedAgent("--containers=2", uuid).wantStatus(0)
	for name, want := range map[string]os.FileMode{"volume/file": 0o600, "volume": 0o700, "workspace/.ssh": 0o700, "workspace/.ssh/file": 0o600, "workspace/file": 0o666} {
		if info, err := os.Stat(p.path(name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", name, info, err, want)
		}
	}
}

// Every user gets the keys as its own, in modes that OpenSSH accepts, and goes on
// with the hosts that the one before has met.
func TestKeysOfSeveralUsers(t *testing.T) {
	p := newSharedPod(t)
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", p.path("key")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	key, err := os.ReadFile(p.path("key"))
	if err != nil {
		t.Fatal(err)
	}
	variables := []string{"SSH_PRIVATE_RSA_KEY=" + strings.ReplaceAll(strings.TrimSpace(string(key)), "\n", "\r\n"), "SSH_CONFIG=Host a\n  Port 2"}
	check := `ssh-keygen -y -P '' -f workspace/.ssh/id_rsa; cd workspace/.ssh; cat known_hosts; echo "met-by-$(id -u) ssh-rsa A" >> known_hosts
		stat -c '%n %u %a' id_rsa config known_hosts .`
	// Users that the machine knows, whom OpenSSH works for.
	p.as(0)
	p.start(append(variables, "BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout+"="+check), "run", "--id=0")
	p.as(1)
	p.startJob(1, check, variables...)
	p.as(2)
	p.startJob(2, check, variables...)
	p.startSharedAgent("--containers=3", uuid).wantStatus(0)
	wantInOrder(t, p.sharedResult().Log,
		"ssh-ed25519 ", "id_rsa 0 600\nconfig 0 600\nknown_hosts 0 644\n. 0 777\n",
		"ssh-ed25519 ", "met-by-0", "id_rsa 1 600\nconfig 1 600\nknown_hosts 1 644\n. 0 777\n",
		"ssh-ed25519 ", "met-by-0", "met-by-1", "id_rsa 2 600\nconfig 2 600\nknown_hosts 2 644\n")
}

// An image mounted read-only, and a user that nobody knows: there is a place for
// files all the same.
func TestReadOnlyImage(t *testing.T) {
	p := newSharedPod(t)
	const script = `mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"`
	p.as(4242)
	p.prefix = append([]string{"unshare", "--mount", "/bin/sh", "-c", script, p.directory}, p.prefix...)
	const check = `! touch /tmp/x 2>/dev/null; mktemp; echo x > "$HOME/x"; echo "$TMPDIR"`
	p.start([]string{"BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout + "=" + check, "HOME=" + p.path("run/home/checkout")}, "run", "--id=0")
	p.startJob(1, check, "HOME="+p.path("run/home/1"))
	p.startSharedAgent("--containers=2", uuid).wantStatus(0)
	wantInOrder(t, p.sharedResult().Log, p.path("run/tmp/0/tmp."), p.path("run/tmp/0"), p.path("run/tmp/1/tmp."), p.path("run/tmp/1"))
}

// A full workspace takes the keys from nobody who has them, and fails no job that
// needs none.
func TestFullWorkspace(t *testing.T) {
	p := newSharedPod(t)
	p.limitWorkspace()
	for _, name := range []string{"build", "plugins", "hooks", ".ssh"} {
		if err := os.Mkdir(p.path("workspace/"+name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.path("workspace/.ssh/id_rsa"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fillWorkspace()
	p.as(0)
	p.start([]string{"SSH_PRIVATE_RSA_KEY=" + publicKey, "BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout + "=cat workspace/.ssh/id_rsa"}, "run", "--id=0")
	p.startSharedAgent("--containers=1", uuid).wantStatus(0)
	log := p.sharedResult().Log
	wantInOrder(t, log, "The SSH directory is incomplete: write "+p.path("workspace/.ssh/"), "the volume is full", "old")
	if left, _ := filepath.Glob(p.path("workspace/.ssh/.writing*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// The agent's container says so when there is no room to begin with.
func TestFullFromTheStart(t *testing.T) {
	p := newSharedPod(t)
	p.limitWorkspace()
	p.fillWorkspace()
	p.as(0)
	agent := p.startSharedAgent("--containers=1", uuid)
	agent.wantStatus(1)
	wantInOrder(t, agent.output.String(), p.path("workspace/"), "no space left on device; the volume there is full")
}

// limitWorkspace makes the workspace a volume that is soon full.
func (p *pod) limitWorkspace() {
	p.t.Helper()
	if err := unix.Mount("tmpfs", p.path("workspace"), "tmpfs", 0, "size=64k,nr_inodes=64,mode=777"); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = unix.Unmount(p.path("workspace"), unix.MNT_DETACH) })
}

func (p *pod) fillWorkspace() {
	p.t.Helper()
	for _, size := range []int{4096, 0} {
		for i := 0; ; i++ {
			if err := os.WriteFile(p.path(fmt.Sprintf("workspace/%d-%d", size, i)), make([]byte, size), 0o600); err != nil {
				break
			}
		}
	}
}

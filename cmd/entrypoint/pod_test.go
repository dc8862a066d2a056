//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; most of it takes
// milliseconds, and the machine may be busy.
const patience = 20 * time.Second

const agentToken = "the agent token\n"

// pod is a directory with the volumes of a pod, and its containers as processes.
type pod struct {
	t         *testing.T
	directory string
	jobEnv    map[string]string
	noJob     bool
	agentEnv  []string
	// prefix is a program, with arguments, that becomes the entrypoint.
	prefix []string
}

// container is a process of a pod.
type container struct {
	t       *testing.T
	command *exec.Cmd
	output  *output
	done    chan struct{}
}

// output is a process's output, readable while it is written.
type output struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()

	return o.buffer.Write(data)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()

	return o.buffer.String()
}

func newPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{t: t, directory: t.TempDir(), jobEnv: map[string]string{"BUILDKITE_COMMAND": "echo the job says hello"}}
	for _, name := range []string{"agent", "bin", "run", "workspace"} {
		if err := os.Mkdir(p.path(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, contents := range map[string]string{"termination-log": "", "passwd": "", "token": agentToken} {
		if err := os.WriteFile(p.path(name), []byte(contents), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What the pod's first container does; "twice is fine" is part of its promise.
	for range 2 {
		install := exec.Command(entrypointBinary, "install", p.path("bin/entrypoint"))
		if output, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install: %v\n%s", err, output)
		}
	}
	// Nobody writes there from now on: it may be an image.
	if err := os.Chmod(p.path("bin"), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(p.path("bin"), 0o755) })

	return p
}

func (p *pod) path(name string) string { return filepath.Join(p.directory, name) }

// start starts the entrypoint with arguments in an environment of its own, under
// a umask that would keep other users out.
func (p *pod) start(environment []string, arguments ...string) *container {
	p.t.Helper()
	arguments = p.placed(arguments)
	program := slices.Concat(p.prefix, []string{p.path("bin/entrypoint")}, arguments)
	argv := append([]string{"-c", `umask 077; exec "$0" "$@"`}, program...)
	c := &container{t: p.t, command: exec.Command("/bin/sh", argv...), output: &output{}, done: make(chan struct{})}
	c.command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"BUILDKITE_JOB_CONTEXT_DIR=" + p.path("run"),
	}, environment...)
	c.command.Stdout = c.output
	c.command.Stderr = c.output
	c.command.WaitDelay = time.Second
	if err := c.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = c.command.Wait()
		close(c.done)
	}()
	p.t.Cleanup(func() {
		_ = c.command.Process.Kill()
		<-c.done
		if p.t.Failed() {
			p.t.Logf("%q:\n%s", arguments, c.output)
		}
	})

	return c
}

// placed adds the options that say where this pod has what others have at fixed
// paths. They come first, so that a test's own win.
func (p *pod) placed(arguments []string) []string {
	var places []string
	switch {
	case len(arguments) == 0:
	case arguments[0] == "agent":
		places = []string{"--agent-directory=" + p.path("agent")}
	case arguments[0] == "run":
		places = []string{
			"--agent-directory=" + p.path("agent"),
			"--workspace=" + p.path("workspace"),
			"--ssh-directory=" + p.path("workspace/.ssh"),
			"--passwd=" + p.path("passwd"),
		}
	}

	return slices.Concat(arguments[:min(1, len(arguments))], places, arguments[min(1, len(arguments)):])
}

// startAgent starts the agent's container.
func (p *pod) startAgent(arguments ...string) *container {
	p.t.Helper()
	environment := append([]string{
		"HOME=" + p.path("run/home/agent"),
		"BUILDKITE_BUILD_PATH=" + p.path("workspace/build"),
		"BUILDKITE_PLUGINS_PATH=" + p.path("workspace/plugins"),
		"BUILDKITE_HOOKS_PATH=" + p.path("workspace/hooks"),
		"BUILDKITE_K8S_NAMESPACE=the-namespace",
		"BUILDKITE_K8S_NODE=the-node",
		agentResult + "=" + p.path("result"),
		agentTokenCopy + "=" + p.path("token-copy"),
		"BUILDKITE_AGENT_TOKEN=file://" + p.path("token"),
	}, p.agentEnv...)
	if !p.noJob {
		jobEnv, err := json.Marshal(p.jobEnv)
		if err != nil {
			p.t.Fatal(err)
		}
		environment = append(environment, agentJobEnv+"="+string(jobEnv))
	}
	arguments = append([]string{"agent", "--agent-binary=" + p.agentProgram(), "--termination-log=" + p.path("termination-log")}, arguments...)

	return p.start(environment, arguments...)
}

// agentProgram is this very program, which is the agent by that name.
func (p *pod) agentProgram() string {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	program := p.path("buildkite-agent")
	if err := os.Symlink(self, program); err != nil && !errors.Is(err, fs.ErrExist) {
		p.t.Fatal(err)
	}

	return program
}

// startCheckout starts the container with id 0.
func (p *pod) startCheckout(script string, arguments ...string) *container {
	p.t.Helper()

	return p.start([]string{"BUILDKITE_BOOTSTRAP_PHASES=plugin,checkout", agentCheckout + "=" + script},
		append([]string{"run", "--id=0"}, arguments...)...)
}

// startJob starts a job container with a script. A script of "" is none of its
// own.
func (p *pod) startJob(id int, script string, environment ...string) *container {
	p.t.Helper()
	arguments := []string{"run", "--id=" + strconv.Itoa(id)}
	if script != "" {
		arguments = append(arguments, "--interposer=buildkite", "--commands=1", "--", script)
	}

	return p.startCommand(arguments, environment...)
}

// startCommand starts a job container with arguments for the entrypoint.
func (p *pod) startCommand(arguments []string, environment ...string) *container {
	p.t.Helper()

	return p.start(append([]string{"BUILDKITE_BOOTSTRAP_PHASES=plugin,command"}, environment...), arguments...)
}

// wait returns the exit status, -1 if a signal ended the process.
func (c *container) wait() int {
	c.t.Helper()
	select {
	case <-c.done:
		return c.command.ProcessState.ExitCode()
	case <-time.After(patience):
		c.t.Fatalf("%q has not ended after %v:\n%s", c.command.Args[2:], patience, c.output)

		return 0
	}
}

func (c *container) wantStatus(want int) {
	c.t.Helper()
	if got := c.wait(); got != want {
		c.t.Errorf("%q ended with status %d, want %d:\n%s", c.command.Args[2:], got, want, c.output)
	}
}

func (c *container) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.command.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// exists says whether a file of the run volume is there.
func (p *pod) exists(name string) bool {
	_, err := os.Stat(p.path("run/" + name))

	return err == nil
}

// result returns what Buildkite would have got; the agent must have ended.
func (p *pod) result() result {
	p.t.Helper()
	contents, err := os.ReadFile(p.path("result"))
	if err != nil {
		p.t.Fatalf("the agent has not finished a job: %v", err)
	}
	var r result
	if err := json.Unmarshal(contents, &r); err != nil {
		p.t.Fatal(err)
	}

	return r
}

// there says whether a file of the pod's own directory is there, which is where
// its commands run.
func (p *pod) there(name string) bool {
	_, err := os.Stat(p.path(name))

	return err == nil
}

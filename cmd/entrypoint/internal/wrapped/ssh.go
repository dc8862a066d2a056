//go:build linux

package wrapped

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/runner"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/ssh"
)

const (
	// noSSH as the SSH directory makes none.
	noSSH = "none"

	phasesVariable = "BUILDKITE_BOOTSTRAP_PHASES"
	checkoutPhase  = "checkout"

	// sshTold is the marker with what the job's log says about SSH already: the
	// containers mostly have the same variables.
	sshTold = "ssh.told"
	// sshToldLimit bounds it.
	sshToldLimit = 64 << 10

	// tellTimeout bounds the wait for the agent to take a line for the job's log.
	tellTimeout = 5 * time.Second
)

// checksOut says whether this is the container that clones the repository.
func (c *container) checksOut() bool {
	return strings.Contains(os.Getenv(phasesVariable), checkoutPhase)
}

// setUpSSH makes the SSH directory, and says in the job's log what keeps a key
// from working. The environment returned is the one to go on with.
func (c *container) setUpSSH(environment []string) []string {
	if c.options.SSHDirectory == noSSH {
		return environment
	}
	home, _ := lookup(environment, homeVariable)
	result := ssh.SetUp(environment, ssh.Options{
		Directory: c.options.SSHDirectory,
		Private:   !within(c.options.SSHDirectory, c.options.Workspace),
		Link:      c.checksOut(),
		Home:      home,
		Passwd:    c.options.Passwd,
		UID:       os.Getuid(),
	})
	c.tellSSH(result)

	return result.Environment
}

// within says whether a path is that of a directory or below it.
func within(path, directory string) bool {
	relative, err := filepath.Rel(directory, path)

	return err == nil && filepath.IsLocal(relative)
}

// tellSSH writes the sentences to this container's log, and to the job's unless
// they are there already.
func (c *container) tellSSH(result ssh.Result) {
	title, sentences := "~~~ SSH", slices.Concat(result.Problems, result.Notes)
	if len(sentences) == 0 {
		return
	}
	if len(result.Problems) > 0 {
		title = "+++ SSH"
	}
	for _, sentence := range sentences {
		c.sayf("%s", sentence)
	}
	text := title + "\n" + strings.Join(sentences, "\n") + "\n"
	if told, err := c.directory.Read(sshTold, sshToldLimit); err == nil && string(told) == text {
		return
	}
	if err := c.tellJob(text); err != nil {
		c.sayf("%v", err)

		return
	}
	if err := c.directory.Write(sshTold, []byte(text)); err != nil {
		c.sayf("%v", err)
	}
}

// tellJob writes to the job's log.
func (c *container) tellJob(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	client, err := runner.Dial(ctx, c.directory.Path(rundir.Socket))
	if err != nil {
		return err
	}
	defer client.Close()

	return client.WriteLogs(text)
}

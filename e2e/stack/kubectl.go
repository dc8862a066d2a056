package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Kubectl runs kubectl against one cluster, named in full: it never falls back
// to whatever the current context happens to be.
type Kubectl struct {
	// Path is the program.
	Path string
	// Kubeconfig is the file; empty leaves it to KUBECONFIG and the default.
	Kubeconfig string
	// Context is the context in it.
	Context string
}

// Command returns the command that Run would run.
func (k Kubectl) Command(ctx context.Context, arguments ...string) *exec.Cmd {
	all := []string{"--context=" + k.Context}
	if k.Kubeconfig != "" {
		all = append(all, "--kubeconfig="+k.Kubeconfig)
	}
	return exec.CommandContext(ctx, k.Path, append(all, arguments...)...)
}

// Run returns what kubectl printed. The error holds what it complained of.
func (k Kubectl) Run(ctx context.Context, arguments ...string) (string, error) {
	return k.RunInput(ctx, "", arguments...)
}

// RunInput is Run with text on standard input.
func (k Kubectl) RunInput(ctx context.Context, input string, arguments ...string) (string, error) {
	command := k.Command(ctx, arguments...)
	command.Stdin = strings.NewReader(input)
	command.Env = append(os.Environ(), "KUBECTL_KUBERC=false")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// tool is the Go command as it works in the e2e module.
type tool struct {
	directory string // of the e2e module
	settings
}

// settings are the Go command's own, as `go env -json` prints them.
type settings struct {
	Version      string `json:"GOVERSION"`
	System       string `json:"GOOS"`
	Architecture string `json:"GOARCH"`
	Cache        string `json:"GOCACHE"`
	Proxy        string `json:"GOPROXY"`
}

// findTool asks the Go command in PATH for its settings. In a module that needs
// a newer one, it fetches and becomes that one first.
func findTool(ctx context.Context, directory string) (tool, error) {
	t := tool{directory: directory}
	output, err := t.output(ctx, "env", "-json", "GOVERSION", "GOOS", "GOARCH", "GOCACHE", "GOPROXY")
	if err != nil {
		return tool{}, err
	}
	if err := json.Unmarshal(output, &t.settings); err != nil {
		return tool{}, fmt.Errorf("read what go env answered: %w", err)
	}
	return t, nil
}

func (t tool) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = t.directory
	command.Env = append(os.Environ(), environment...)
	// Interrupted, it removes its work directory; killed, it leaves gigabytes.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	return command
}

// output runs the Go command and returns what it printed.
func (t tool) output(ctx context.Context, arguments ...string) ([]byte, error) {
	return t.capture(ctx, t.command(ctx, arguments...))
}

func (t tool) capture(ctx context.Context, command *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, t.explain(ctx, err, stderr.String())
	}
	return output, nil
}

// findModule returns the e2e module's directory in the checkout around start.
func findModule(start string) (string, error) {
	start, err := filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for directory := start; ; directory = filepath.Dir(directory) {
		for _, candidate := range []string{directory, filepath.Join(directory, "e2e")} {
			text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && bytes.HasPrefix(text, []byte("module "+productModule+"/e2e\n")) {
				return candidate, nil
			}
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("find the checkout: %s is not inside a clone of agent-stack-k8s", start)
		}
	}
}

//go:build linux

package wrapped

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
)

const (
	homeVariable      = "HOME"
	temporaryVariable = "TMPDIR"
	// temporaryDefault is what programs use without TMPDIR.
	temporaryDefault = "/tmp"
)

// makeHome makes the home directory and that for temporary files if they are to
// be there and are not. Without a TMPDIR and with a /tmp that cannot be written
// to, as in an image mounted read-only, there is one on the shared volume: the
// agent needs it for hooks. That a directory cannot be made is no reason to fail.
func (c *container) makeHome(environment []string, temporary string) []string {
	if _, given := lookup(environment, temporaryVariable); !given && unix.Access(temporary, unix.W_OK|unix.X_OK) != nil {
		own := c.directory.Path(filepath.Join("tmp", strconv.Itoa(c.options.ID)))
		if err := rundir.MakeOpen(filepath.Dir(own)); err != nil {
			c.sayf("%s: %v", temporaryVariable, err)
		}
		environment = set(environment, temporaryVariable, own)
	}
	for _, name := range []string{homeVariable, temporaryVariable} {
		path, _ := lookup(environment, name)
		if !filepath.IsAbs(path) {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := rundir.MakeOpen(path); err != nil {
			c.sayf("%s: %v", name, err)
		}
	}

	return environment
}

//go:build linux

package wrapped

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	homeVariable      = "HOME"
	temporaryVariable = "TMPDIR"
	// temporaryDefault is what programs use without TMPDIR.
	temporaryDefault = "/tmp"
	// homeless is the HOME that container runtimes give to a user that the image does
	// not know.
	homeless = "/"
)

// makeHome makes the home directory and that for temporary files if they are to
// be there and are not. Without a TMPDIR and with a /tmp that cannot be written
// to, as in an image mounted read-only, there is one on the shared volume: the
// agent needs it for hooks. The same goes for the home of a user that the image does
// not know: root's directory is where the tools of such a user fail to keep their
// files. That a directory cannot be made is no reason to fail.
func (c *container) makeHome(environment []string, root, temporary string) []string {
	if home, _ := lookup(environment, homeVariable); (home == "" || home == homeless) && unix.Access(root, unix.W_OK|unix.X_OK) != nil {
		environment = set(environment, homeVariable, c.directory.Path(filepath.Join(filepath.Base(contract.HomesPath), strconv.Itoa(c.options.ID))))
	}
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

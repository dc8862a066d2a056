//go:build linux

// Package rundir is how the containers of one pod speak to each other: a
// directory on a volume that all of them mount, with locks that say who is
// alive and markers that say how far each one is.
//
// The containers start in any order and may run as different users, so each
// side makes what it needs and opens it to all: the pod is the trust boundary.
// Waiting costs no CPU: a lock is waited for in the kernel, a marker by inotify.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Names inside the directory. The agent adds its socket and the job's
// environment files.
const (
	// Socket is where the agent's Kubernetes runner listens; it exists from the
	// moment the job was started until its result is known.
	Socket = "buildkite.sock"

	// SupervisorLock is held by the supervisor for as long as it lives.
	SupervisorLock = "agent.lock"
	// SupervisorStarted appears once SupervisorLock and GoLock are held, so that
	// a wrapped container never takes "not there yet" for "gone". It contains
	// the pod's exit-status mode.
	SupervisorStarted = "agent.started"

	// GoLock is held by the supervisor until the wrapped containers may run, or
	// until it ends; which of the two it was says the marker Go.
	GoLock = "go.lock"
	Go     = "go"

	// Command is the taken job's own command.
	Command = "command"

	// Finished is written by the supervisor once the agent has ended. It
	// contains Accepted or Rejected.
	Finished = "finished"
	Accepted = "accepted"
	Rejected = "rejected"
)

// ClientLock is held by the wrapped container with this id until its exit
// marker is written. Released without the marker, it means that the container
// died.
func ClientLock(id int) string { return "client-" + strconv.Itoa(id) + ".lock" }

// ClientStarted appears once the wrapped container with this id holds its lock.
func ClientStarted(id int) string { return "client-" + strconv.Itoa(id) + ".started" }

// ClientExited is written by the wrapped container with this id at its end; see
// Exit for its contents.
func ClientExited(id int) string { return "client-" + strconv.Itoa(id) + ".exited" }

// Directory is the shared directory.
type Directory struct {
	path string
}

// Open returns the directory that the environment names
// (BUILDKITE_JOB_CONTEXT_DIR) or else contract.RunPath, and makes it if it is
// missing.
func Open() (Directory, error) {
	path := os.Getenv("BUILDKITE_JOB_CONTEXT_DIR")
	if path == "" {
		path = contract.RunPath
	}
	if !filepath.IsAbs(path) {
		return Directory{}, fmt.Errorf("BUILDKITE_JOB_CONTEXT_DIR is %q: it must be an absolute path", path)
	}

	return Directory{path: path}, MakeOpen(path)
}

// Path is the path of name inside the directory.
func (d Directory) Path(name string) string { return filepath.Join(d.path, name) }

// Exists says whether name is there.
func (d Directory) Exists(name string) bool {
	_, err := os.Lstat(d.Path(name))

	return err == nil
}

// MakeOpen makes a directory, and those above it, that every user may write to
// whatever the umask says. One that exists is opened to all if it is ours and
// otherwise left as it is; so is one of a read-only volume, as hooks may be.
func MakeOpen(path string) error {
	if info, err := os.Stat(path); err == nil && !info.IsDir() { //nolint:gosec // the container's own environment names it
		return fmt.Errorf("make directory %s: a file of that name is in the way", path)
	}
	if err := os.MkdirAll(path, 0o777); err != nil { //nolint:gosec // as above
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o777); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) { //nolint:gosec // as above
		return fmt.Errorf("open directory %s to all users: %w", path, err)
	}

	return nil
}

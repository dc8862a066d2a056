//go:build linux

package rundir

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write puts contents under name, readable by every user. Readers see nothing or
// all of it; a file that is there is replaced.
func (d Directory) Write(name string, contents []byte) error {
	file, err := os.CreateTemp(d.path, ".writing-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(contents); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	if err := file.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	if err := os.Rename(file.Name(), d.Path(name)); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}

	return nil
}

// Claim makes an empty file that must not exist yet: of several who try, one
// succeeds and the others get an error that is fs.ErrExist.
func (d Directory) Claim(name string) error {
	file, err := os.OpenFile(d.Path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Path(name), err)
	}

	return file.Close()
}

// Read returns at most limit bytes of a file. Any container of the pod may put
// anything there, so links are not followed and a pipe does not block.
func (d Directory) Read(name string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(d.Path(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read marker: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read marker: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is not a regular file", d.Path(name))
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("read %s: it has %d bytes, the limit is %d", d.Path(name), info.Size(), limit)
	}

	contents, err := io.ReadAll(io.LimitReader(file, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Path(name), err)
	}

	return contents, nil
}

// exitLimit bounds an exit marker: a status and a sentence or two.
const exitLimit = 4096

// Exit is how a wrapped container ended.
type Exit struct {
	// Status is the exit status, 0 to 255.
	Status int
	// Reason says why, for people; empty when the container's own output says it.
	Reason string
}

// WriteExit records how the wrapped container with this id ended.
func (d Directory) WriteExit(id int, exit Exit) error {
	text := strconv.Itoa(exit.Status) + "\n" + exit.Reason
	if len(text) > exitLimit {
		text = text[:exitLimit]
	}

	return d.Write(ClientExited(id), []byte(text))
}

// ReadExit returns how the wrapped container with this id ended. The error is
// fs.ErrNotExist if it did not say.
func (d Directory) ReadExit(id int) (Exit, error) {
	contents, err := d.Read(ClientExited(id), exitLimit)
	if err != nil {
		return Exit{}, err
	}
	first, reason, _ := strings.Cut(string(contents), "\n")
	status, err := strconv.Atoi(first)
	if err != nil || status < 0 || status > 255 {
		return Exit{}, fmt.Errorf("read %s: %q is not an exit status", d.Path(ClientExited(id)), first)
	}

	return Exit{Status: status, Reason: reason}, nil
}

// User returns the user id of the wrapped container with this id, which made its
// marker ClientStarted itself. The error is fs.ErrNotExist if there is no such
// container, or if it has not started.
func (d Directory) User(id int) (int, error) {
	info, err := os.Lstat(d.Path(ClientStarted(id)))
	if err != nil {
		return 0, fmt.Errorf("the user of container %d: %w", id, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("the user of container %d: %s has no owner", id, d.Path(ClientStarted(id)))
	}

	return int(stat.Uid), nil
}

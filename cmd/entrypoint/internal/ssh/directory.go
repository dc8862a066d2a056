//go:build linux

package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Modes. OpenSSH refuses a private key of its own user's that others may read,
// and a configuration that others may write; what hosts are called is no secret,
// and a later container with another user goes on with it.
const (
	keyMode        = 0o600
	configMode     = 0o600
	knownHostsMode = 0o644
)

// sshDirectory is the directory, open. Names in it cannot lead out of it.
type sshDirectory struct {
	*os.Root

	path string
}

// open makes the directory, if need be, and opens it. The one above it is a mount
// of ours, so nobody can have put a link in its place; a link in the directory's
// own place is removed, as whatever else is in the way.
func open(path string, private bool) (*sshDirectory, error) {
	path = filepath.Clean(path)
	parent, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, explain(err)
	}
	defer parent.Close()

	name := filepath.Base(path)
	mode := fs.FileMode(0o777)
	if private {
		mode = 0o700
	}
	if info, err := parent.Lstat(name); err == nil && !info.IsDir() {
		if err := parent.Remove(name); err != nil {
			return nil, explain(fmt.Errorf("%s is in the way: %w", path, err))
		}
	}
	if err := parent.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, explain(fmt.Errorf("%s: %w", path, err))
	}
	// The mode of Mkdir is subject to the umask. One that is another user's, or a
	// mount, stays as it is.
	if err := parent.Chmod(name, mode); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) {
		return nil, explain(fmt.Errorf("%s: %w", path, err))
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, explain(fmt.Errorf("%s: %w", path, err))
	}

	return &sshDirectory{Root: root, path: path}, nil
}

// explain says what to do about the errors that people meet.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; user %d may not write there: run the containers as the same user or set fsGroup in the pod's securityContext", err, os.Getuid())
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w; the volume is full", err)
	default:
		return err
	}
}

// write writes all files, those that it can, and returns what it could not.
func (d *sshDirectory) write(wanted *files) error {
	var errs []error
	if wanted.config != "" {
		errs = append(errs, d.put("config", wanted.config, configMode))
	}
	// Always, so that what is added to it later belongs to this user and can be
	// read by the next.
	errs = append(errs, d.put("known_hosts", merge(d.existing("known_hosts"), wanted.knownHosts), knownHostsMode))
	for _, key := range wanted.keys {
		errs = append(errs, d.put(key.file, key.contents, keyMode))
	}

	return errors.Join(errs...)
}

// put writes a file under another name and renames it: what is in its place is
// replaced, be it a link, a pipe or another user's, and nobody sees half a file.
func (d *sshDirectory) put(name, contents string, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = explain(fmt.Errorf("write %s: %w", filepath.Join(d.path, name), err))
		}
	}()
	temporary := fmt.Sprintf(".writing-%s-%x", name, rand.Uint64()) //nolint:gosec // O_EXCL makes sure, not the number
	file, err := d.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		file.Close()
		if err != nil {
			_ = d.Remove(temporary)
		}
	}()
	if _, err = file.WriteString(contents); err != nil {
		return err
	}
	if err = file.Chmod(mode); err != nil {
		return err
	}

	return d.Rename(temporary, name)
}

// existing returns a file's contents if it is a regular file of reasonable size
// that this user may read, and else nothing.
func (d *sshDirectory) existing(name string) string {
	if info, err := d.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	file, err := d.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	contents, err := readAll(file)
	if err != nil {
		return ""
	}

	return contents
}

// has says whether a file of the directory is there.
func (d *sshDirectory) has(name string) bool {
	_, err := d.Lstat(name)

	return err == nil
}

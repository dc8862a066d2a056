//go:build linux

package rundir

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("already locked")

// Lock is an exclusive lock that ends with the process at the latest, however
// the process ends. Children do not inherit it.
type Lock struct {
	file *os.File
}

// TryLock takes the lock at once or returns ErrLocked.
func (d Directory) TryLock(name string) (*Lock, error) {
	file, err := d.openLock(name)
	if err != nil {
		return nil, err
	}
	if err := flock(file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", d.Path(name), ErrLocked)
		}

		return nil, fmt.Errorf("lock %s: %w", d.Path(name), err)
	}

	return &Lock{file: file}, nil
}

// Release lets the waiters go. A lock may be released twice.
func (l *Lock) Release() { l.file.Close() }

// AwaitRelease blocks until nobody holds the lock exclusively. It costs one
// sleeping thread and cannot be interrupted: run it in a goroutine of its own.
func (d Directory) AwaitRelease(name string) error {
	file, err := d.openLock(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := flock(file, unix.LOCK_SH); err != nil {
		return fmt.Errorf("wait for lock %s: %w", d.Path(name), err)
	}

	return nil
}

func flock(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openLock opens the lock's file, made open to all users. The file is never
// read or written, and a link planted in its place is not followed.
func (d Directory) openLock(name string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	file, err := os.OpenFile(d.Path(name), flags, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	// Only its owner may do this; for everybody else it is done already.
	_ = file.Chmod(0o666)

	return file, nil
}

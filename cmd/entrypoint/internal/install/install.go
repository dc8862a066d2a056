// Package install puts a program at a path so that nobody ever sees half of it.
package install

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Sync says whether a copy must survive a crash of the node.
type Sync bool

// copyBuffer is how many bytes are copied at a time. The files are programs of up to
// 50 MB, and between two file systems the kernel does not do it by itself: with what
// io.Copy takes it lasts half as long again.
const copyBuffer = 1 << 20

// Copy copies the file at source to target, executable by everybody: under a
// temporary name in the same directory, then renamed. A target that is there is
// replaced, even while it runs.
func Copy(source, target string, sync Sync) (err error) {
	from, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}
	defer from.Close()
	if info, statErr := from.Stat(); statErr != nil {
		return fmt.Errorf("install %s: %w", target, statErr)
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("install %s: %s is not a regular file", target, source)
	}

	to, err := os.CreateTemp(filepath.Dir(target), ".installing-*")
	if err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}
	defer func() {
		if err != nil {
			to.Close()
			os.Remove(to.Name())
		}
	}()

	if _, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copyBuffer)); err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}
	// Chmod, unlike the mode of an open, is not subject to the umask.
	if err = to.Chmod(0o755); err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}
	if sync {
		if err = to.Sync(); err != nil {
			return fmt.Errorf("install %s: %w", target, err)
		}
	}
	if err = to.Close(); err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}
	if err = os.Rename(to.Name(), target); err != nil {
		return fmt.Errorf("install %s: %w", target, err)
	}

	return nil
}

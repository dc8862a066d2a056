//go:build linux

// Package share opens what one container left on the workspace to the users of
// the containers after it. A checkout by root with the usual umask is read-only
// for user 1000; without the capability to ignore modes, that of user 1000 is for
// root too.
package share

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// Limits of one walk.
const (
	// depthLimit bounds the open directories, of which there is one a level.
	depthLimit = 256
	// batch is how many names of one directory are held in memory.
	batch = 1024
)

// Options say what to leave alone.
type Options struct {
	// Skip are directories that stay as they are, relative to the walk's.
	Skip []string
	// Mounts are the absolute paths where something else is mounted: a volume of
	// the user's is not ours to open.
	Mounts map[string]bool
	// Limit is how long the walk may take; what it has not reached by then stays
	// as it is.
	Limit time.Duration
}

// Result is what the walk did.
type Result struct {
	// Looked is how many files and directories it saw, Opened how many it changed.
	Looked, Opened int
	// Failed is how many it could not change, and Failure why it could not the
	// first of them.
	Failed  int
	Failure error
	// Cut says that the time was over before the end.
	Cut bool
}

// walker is a walk under way.
type walker struct {
	Result

	left map[string]bool // paths to leave alone
	end  time.Time
}

// Open gives everybody, in all of a directory, what the owner may do: chmod go=u.
// What is that way already costs a look and no more. Links are never followed, so
// nothing outside is reached; a program that runs with its owner's rights stays
// its owner's to write.
func Open(directory string, options Options) (Result, error) {
	// Mounts are named by their real paths.
	top, err := filepath.EvalSymlinks(directory)
	if err != nil {
		return Result{}, fmt.Errorf("open %s to other users: %w", directory, err)
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return Result{}, fmt.Errorf("open %s to other users: %w", directory, err)
	}
	defer root.Close()
	w := &walker{left: map[string]bool{}, end: time.Now().Add(options.Limit)}
	maps.Copy(w.left, options.Mounts)
	for _, path := range options.Skip {
		w.left[filepath.Join(top, path)] = true
	}
	if info, err := root.Lstat("."); err == nil {
		w.look(root, ".", top, info)
	}
	w.walk(root, top, 0)

	return w.Result, nil
}

// walk opens what is in a directory, whose path is only for messages and for
// what to leave alone.
func (w *walker) walk(root *os.Root, path string, depth int) {
	if depth > depthLimit {
		w.fail(fmt.Errorf("%s: more than %d directories deep", path, depthLimit))

		return
	}
	directories, err := w.entries(root, path)
	if err != nil {
		w.fail(err)
	}
	for _, name := range directories {
		if w.over() {
			return
		}
		below, err := root.OpenRoot(name)
		if err != nil {
			w.fail(err)

			continue
		}
		w.walk(below, filepath.Join(path, name), depth+1)
		below.Close()
	}
}

// entries opens a directory's entries and returns those that are directories.
func (w *walker) entries(root *os.Root, path string) ([]string, error) {
	directory, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer directory.Close()

	var directories []string
	for !w.over() {
		entries, err := directory.ReadDir(batch)
		for _, entry := range entries {
			name := entry.Name()
			info, err := root.Lstat(name)
			if err != nil || w.left[filepath.Join(path, name)] {
				continue
			}
			w.look(root, name, filepath.Join(path, name), info)
			if info.IsDir() {
				directories = append(directories, name)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return directories, err
		}
	}

	return directories, nil
}

// look changes one entry's mode if it has to be.
func (w *walker) look(root *os.Root, name, path string, info fs.FileInfo) {
	w.Looked++
	mode := info.Mode()
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	switch {
	case mode&(fs.ModeSymlink|fs.ModeDevice) != 0:
		return
	case mode.IsRegular() && mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return
	}
	owner := mode.Perm() & 0o700
	want := mode.Perm() | owner>>3 | owner>>6
	if want == mode.Perm() {
		return
	}
	if err := root.Chmod(name, want|mode&special); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.fail(fmt.Errorf("%s: %w", path, err))
		}

		return
	}
	w.Opened++
}

func (w *walker) fail(err error) {
	w.Failed++
	if w.Failure == nil {
		w.Failure = err
	}
}

// over says whether the time is over.
func (w *walker) over() bool {
	if !w.Cut && time.Now().After(w.end) {
		w.Cut = true
	}

	return w.Cut
}

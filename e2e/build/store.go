package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// store is the directory of built programs:
//
//	programs/NAME-KEY   every program once
//	bin/KEY/NAME        the set that belongs to one state of the sources: hard links
//	tmp-*               builds in progress
//	lock                held while building or tidying up
//
// A program arrives by rename, so what has a name here is complete.
type store struct {
	directory string
	kept      int // how many views stay
}

// DefaultCache returns ${XDG_CACHE_HOME:-~/.cache}/agent-stack-k8s.
func DefaultCache() (string, error) {
	directory, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set XDG_CACHE_HOME", err)
	}
	return filepath.Join(directory, "agent-stack-k8s"), nil
}

func (s store) program(name, key string) string {
	return filepath.Join(s.directory, "programs", name+"-"+key)
}

func (s store) view(key string) string { return filepath.Join(s.directory, "bin", key) }

// missing returns those of the programs that have yet to be built.
func (s store) missing(chosen []program, keys map[string]string) []program {
	var missing []program
	for _, p := range chosen {
		if _, err := os.Stat(s.program(p.name, keys[p.name])); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// complete tells whether the view holds all the programs, and if so notes its use.
func (s store) complete(view string, chosen []program) bool {
	for _, p := range chosen {
		if _, err := os.Stat(filepath.Join(view, p.name)); err != nil {
			return false
		}
	}
	now := time.Now()
	return os.Chtimes(view, now, now) == nil
}

// temporary makes a directory for a build. The caller holds the lock, so what an
// earlier build left behind is of no use to anyone.
func (s store) temporary() (string, error) {
	left, err := filepath.Glob(filepath.Join(s.directory, "tmp-*"))
	if err != nil {
		return "", fmt.Errorf("find left-over builds: %w", err)
	}
	for _, directory := range left {
		if err := os.RemoveAll(directory); err != nil {
			return "", fmt.Errorf("remove a left-over build: %w", err)
		}
	}
	directory, err := os.MkdirTemp(s.directory, "tmp-")
	if err != nil {
		return "", fmt.Errorf("make a build directory: %w", err)
	}
	return directory, nil
}

// install moves freshly built programs from directory to where they belong.
func (s store) install(directory string, built []program, keys map[string]string) error {
	if err := os.MkdirAll(filepath.Join(s.directory, "programs"), 0o755); err != nil {
		return fmt.Errorf("install programs: %w", err)
	}
	for _, p := range built {
		if err := os.Rename(filepath.Join(directory, p.output()), s.program(p.name, keys[p.name])); err != nil {
			return fmt.Errorf("install %s: %w", p.name, err)
		}
	}
	return nil
}

// link puts the programs into the view.
func (s store) link(view string, chosen []program, keys map[string]string) error {
	if err := os.MkdirAll(view, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", view, err)
	}
	for _, p := range chosen {
		if err := os.Link(s.program(p.name, keys[p.name]), filepath.Join(view, p.name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("link %s: %w", p.name, err)
		}
		for _, name := range p.links {
			if err := os.Symlink(p.name, filepath.Join(view, name)); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("link %s: %w", name, err)
			}
		}
	}
	return nil
}

// prune removes views that were not used lately, but for those whose programs
// run, and programs of no view. It is called under the lock; what it cannot
// remove stays for the next time.
func (s store) prune() error {
	views, err := os.ReadDir(filepath.Join(s.directory, "bin"))
	if err != nil {
		return fmt.Errorf("list built programs: %w", err)
	}
	slices.SortFunc(views, func(a, b fs.DirEntry) int { return modified(b).Compare(modified(a)) })
	running := running()
	var problems []error
	for _, view := range views[min(s.kept, len(views)):] {
		path := s.view(view.Name())
		inUse := slices.ContainsFunc(running, func(executable string) bool { return strings.HasPrefix(executable, path+"/") })
		if !inUse {
			problems = append(problems, os.RemoveAll(path))
		}
	}
	stored, err := os.ReadDir(filepath.Join(s.directory, "programs"))
	problems = append(problems, err)
	for _, entry := range stored {
		info, err := entry.Info()
		if err != nil {
			continue
		}
		if status, ok := info.Sys().(*syscall.Stat_t); ok && status.Nlink == 1 {
			problems = append(problems, os.Remove(filepath.Join(s.directory, "programs", entry.Name())))
		}
	}
	return errors.Join(problems...)
}

func modified(entry fs.DirEntry) time.Time {
	info, err := entry.Info()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// running returns the executables of all processes whose we may know.
func running() []string {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	var executables []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			executables = append(executables, target)
		}
	}
	return executables
}

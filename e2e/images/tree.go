package images

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// omitted are the parts of a Debian root that a job does not need, and those that
// are the machine's and not the image's: directories without their content, files
// altogether.
var omitted = []string{
	"debootstrap", "dev", "proc", "run", "sys", "tmp",
	"etc/hostname", "etc/machine-id", "etc/resolv.conf",
	"etc/ssh/ssh_host_ecdsa_key", "etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_rsa_key",
	"etc/ssh/ssh_host_ecdsa_key.pub", "etc/ssh/ssh_host_ed25519_key.pub", "etc/ssh/ssh_host_rsa_key.pub",
	"usr/share/bash-completion", "usr/share/bug", "usr/share/doc", "usr/share/doc-base",
	"usr/share/gitweb", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man",
	"var/cache", "var/lib/apt/lists", "var/log",
}

// archiveTree writes the directory's content in lexical order, with owners,
// modes and links, but without what is omitted and without devices and sockets.
func archiveTree(archive *tar.Writer, root string, omitted []string) error {
	seen := map[uint64]string{} // names of files with several links, by inode
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("archive %s: %w", path, err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		if within(name, omitted) && !entry.IsDir() {
			return nil
		}
		f, err := describe(path, filepath.ToSlash(name), entry, seen)
		if err != nil || f == nil {
			return err
		}
		if err := f.write(archive); err != nil {
			return err
		}
		if within(name, omitted) {
			return filepath.SkipDir
		}
		return nil
	})
}

func within(name string, directories []string) bool {
	for _, directory := range directories {
		if name == directory || strings.HasPrefix(name, directory+"/") {
			return true
		}
	}
	return false
}

// describe returns the entry for a path, or nil for what has no place in a layer.
func describe(path, name string, entry fs.DirEntry, seen map[uint64]string) (*file, error) {
	info, err := entry.Info()
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", name, err)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("archive %s: its owner is unknown", name)
	}
	f := &file{name: name, mode: int64(status.Mode & 0o7777), uid: int(status.Uid), gid: int(status.Gid)}
	switch {
	case info.IsDir():
		f.directory = true
	case info.Mode()&fs.ModeSymlink != 0:
		if f.link, err = os.Readlink(path); err != nil {
			return nil, fmt.Errorf("archive %s: %w", name, err)
		}
	case !info.Mode().IsRegular():
		return nil, nil //nolint:nilnil // nothing to archive
	case status.Nlink > 1 && seen[status.Ino] != "":
		f.hardLink = seen[status.Ino]
	default:
		seen[status.Ino] = name
		f.source = path
	}
	return f, nil
}

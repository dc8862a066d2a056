package zzglob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/bmatcuk/doublestar/v4"
)

// walker looks for one pattern's matches.
type walker struct {
	*Pattern
	visit        fs.WalkDirFunc
	intermediate bool
	symlinks     bool
}

func (w *walker) walk(ctx context.Context) error {
	if w.text == "" {
		return nil
	}
	root := filepath.FromSlash(w.root)
	if w.tail == "" {
		return w.literal(root)
	}
	info, err := os.Stat(root)
	if err != nil {
		return skipped(w.visit(root, nil, err))
	}
	entry := fs.FileInfoToDirEntry(info)
	if w.intermediate {
		if err := w.visit(root, entry, nil); err != nil {
			return skipped(err)
		}
	}
	if !info.IsDir() {
		return nil
	}
	return skipped(w.directory(ctx, root, "", entry, []fs.FileInfo{info}))
}

// literal visits the one path that a pattern without special characters names.
func (w *walker) literal(root string) error {
	info, err := os.Lstat(root)
	if err != nil {
		return skipped(w.visit(root, nil, err))
	}
	return skipped(w.visit(root, fs.FileInfoToDirEntry(info), nil))
}

// directory visits what matches in and below the directory at name. relative is
// its path below the root, ancestors are itself and the directories it was
// reached through.
func (w *walker) directory(ctx context.Context, name, relative string, self fs.DirEntry, ancestors []fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		if err := w.visit(name, self, err); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		err := w.entry(ctx, filepath.Join(name, entry.Name()), path.Join(relative, entry.Name()), entry, ancestors)
		// As in fs.WalkDir: from a directory, skip it; from a file, what follows it.
		if errors.Is(err, fs.SkipDir) && !entry.IsDir() {
			return nil
		}
		if skipped(err) != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(ctx context.Context, name, relative string, entry fs.DirEntry, ancestors []fs.FileInfo) error {
	info := w.enterable(name, entry, ancestors)
	if doublestar.MatchUnvalidated(w.tail, relative) || w.intermediate && info != nil {
		if err := w.visit(name, entry, nil); err != nil {
			return err
		}
	}
	if info == nil || len(ancestors) == w.depth {
		return nil
	}
	return w.directory(ctx, name, relative, entry, append(slices.Clip(ancestors), info))
}

// enterable returns what a directory entry is, followed through a link, if the
// walk may descend into it. A link that leads back would never end.
func (w *walker) enterable(name string, entry fs.DirEntry, ancestors []fs.FileInfo) fs.FileInfo {
	linked := entry.Type()&fs.ModeSymlink != 0
	if !entry.IsDir() && (!linked || !w.symlinks) {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return nil
	}
	for _, ancestor := range ancestors {
		if os.SameFile(ancestor, info) {
			return nil
		}
	}
	return info
}

func skipped(err error) error {
	if errors.Is(err, fs.SkipDir) {
		return nil
	}
	return err
}

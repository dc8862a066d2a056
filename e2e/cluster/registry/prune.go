package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// keptTags is how many tags of a repository stay: our images' tags are keys
	// of their content, so every change of the sources makes a new one.
	keptTags = 5
	// untaggedLife is how long a manifest stays that no tag leads to.
	untaggedLife = 24 * time.Hour
)

// prune removes the tags that were not used lately, the manifests that none of
// the others leads to, and the blobs that no manifest names. It runs before the
// registry serves, so nothing is being pushed.
func (s store) prune() error {
	all, err := s.load()
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b manifest) int { return b.used.Compare(a.used) })
	roots := keepRoots(all, time.Now())
	reachable := reach(roots, all)
	for _, m := range all {
		_, isRoot := roots[m.path]
		if !isRoot && !reachable[m.digest()] || m.isTag() && !isRoot {
			if err := os.Remove(m.path); err != nil {
				return fmt.Errorf("remove an old manifest: %w", err)
			}
		}
	}
	return s.pruneBlobs(reachable)
}

// keepRoots returns, by path, the manifests that stay for their own sake.
func keepRoots(all []manifest, now time.Time) map[string]manifest {
	roots, tags := map[string]manifest{}, map[string]int{}
	for _, m := range all {
		switch {
		case m.isTag() && tags[m.Repository] < keptTags:
			tags[m.Repository]++
			roots[m.path] = m
		case !m.isTag() && now.Sub(m.used) < untaggedLife:
			roots[m.path] = m
		}
	}
	return roots
}

// reach returns the digests of the roots and of everything they lead to.
func reach(roots map[string]manifest, all []manifest) map[string]bool {
	byDigest := map[string]manifest{}
	for _, m := range all {
		byDigest[m.digest()] = m
	}
	reachable := map[string]bool{}
	var visit func(m manifest)
	visit = func(m manifest) {
		reachable[m.digest()] = true
		for _, digest := range m.references() {
			child, isManifest := byDigest[digest]
			if isManifest && !reachable[digest] {
				visit(child)
			}
			reachable[digest] = true
		}
	}
	for _, m := range roots {
		visit(m)
	}
	return reachable
}

func (s store) pruneBlobs(reachable map[string]bool) error {
	err := filepath.WalkDir(s.blobs(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		digest := filepath.Base(filepath.Dir(path)) + ":" + entry.Name()
		if reachable[digest] {
			return nil
		}
		return os.Remove(path) // unfinished uploads too
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old blobs: %w", err)
	}
	return nil
}

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
)

// kept is how many versions of an image stay, by age.
const kept = 3

// nameAnnotation holds "name:key" in the layout's index.
const nameAnnotation = "org.opencontainers.image.ref.name"

// cache is the OCI layout with everything made so far. Its layers are shared: an
// image with another agent binary does not hold Debian again.
type cache struct {
	path   layout.Path
	unlock func()
}

// openCache locks and opens the layout below the directory.
func openCache(ctx context.Context, directory string, progress build.Progress) (*cache, error) {
	directory = filepath.Join(directory, "images")
	unlock, err := build.Lock(ctx, directory, progress, "wait for another process that makes images")
	if err != nil {
		return nil, err
	}
	c := &cache{path: layout.Path(filepath.Join(directory, "layout")), unlock: unlock}
	if err := c.prepare(); err != nil {
		unlock()
		return nil, fmt.Errorf("open the image cache: %w", err)
	}
	return c, nil
}

func (c *cache) close() { c.unlock() }

// prepare makes the layout, anew if a process died while it wrote: a file of the
// layout may then be cut short under its final name.
func (c *cache) prepare() error {
	if _, err := os.Stat(c.marker()); err == nil {
		if err := os.RemoveAll(string(c.path)); err != nil {
			return fmt.Errorf("remove a damaged layout: %w", err)
		}
	}
	if _, err := layout.FromPath(string(c.path)); err != nil {
		if _, err := layout.Write(string(c.path), empty.Index); err != nil {
			return fmt.Errorf("make a layout: %w", err)
		}
	}
	return os.RemoveAll(c.scratch())
}

func (c *cache) marker() string  { return filepath.Join(string(c.path), "writing") }
func (c *cache) scratch() string { return filepath.Join(filepath.Dir(string(c.path)), "scratch") }

// find returns an image, or nil if it has yet to be made.
func (c *cache) find(name, key string) (v1.Image, error) {
	index, err := c.path.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("read the image cache: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read the image cache: %w", err)
	}
	for _, descriptor := range manifest.Manifests {
		if descriptor.Annotations[nameAnnotation] == name+":"+key {
			image, err := c.path.Image(descriptor.Digest)
			if err != nil {
				return nil, fmt.Errorf("read image %s from the cache: %w", name, err)
			}
			return image, nil
		}
	}
	return nil, nil //nolint:nilnil // documented
}

// add stores an image, drops the oldest of its name and returns it as stored.
func (c *cache) add(name, key string, image v1.Image) (v1.Image, error) {
	if err := os.WriteFile(c.marker(), nil, 0o600); err != nil {
		return nil, fmt.Errorf("write the image cache: %w", err)
	}
	err := c.path.AppendImage(image, layout.WithAnnotations(map[string]string{nameAnnotation: name + ":" + key}))
	if err == nil {
		err = c.prune(name)
	}
	if err != nil {
		// The marker stays: whatever is there now is not to be trusted.
		return nil, fmt.Errorf("store image %s: %w", name, err)
	}
	if err := os.Remove(c.marker()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write the image cache: %w", err)
	}
	return c.find(name, key)
}

func (c *cache) prune(name string) error {
	index, err := c.path.ImageIndex()
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	var versions []string
	for _, descriptor := range manifest.Manifests {
		if version := descriptor.Annotations[nameAnnotation]; strings.HasPrefix(version, name+":") {
			versions = append(versions, version)
		}
	}
	if len(versions) <= kept {
		return nil
	}
	for _, version := range versions[:len(versions)-kept] {
		if err := c.path.RemoveDescriptors(match.Name(version)); err != nil {
			return fmt.Errorf("drop %s: %w", version, err)
		}
	}
	unused, err := c.path.GarbageCollect()
	if err != nil {
		return fmt.Errorf("find unused layers: %w", err)
	}
	for _, blob := range unused {
		if err := c.path.RemoveBlob(blob); err != nil {
			return fmt.Errorf("remove layer %s: %w", blob, err)
		}
	}
	return nil
}

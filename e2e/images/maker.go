package images

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
)

// maker makes images from built programs.
type maker struct {
	bin      string // directory of the programs
	version  string // of this checkout
	progress build.Progress
}

// key returns 16 hexadecimal digits that differ whenever the image may.
func (m maker) key(ctx context.Context, r recipe) (string, error) {
	config, err := json.Marshal(m.config(r))
	if err != nil {
		return "", fmt.Errorf("hash image %s: %w", r.name, err)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s\n%s\n", r.name, runtime.GOARCH, config)
	if b := findBase(r.base); b != nil {
		key, err := b.key(ctx)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s\n", key)
	}
	for _, f := range r.content(m.bin) {
		digest, err := f.digest()
		if err != nil {
			return "", fmt.Errorf("hash image %s: %w", r.name, err)
		}
		fmt.Fprintln(hash, digest)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))[:16], nil
}

func (m maker) config(r recipe) *v1.ConfigFile {
	config := r.config
	config.Labels = m.labels(r)
	return &v1.ConfigFile{
		OS:           "linux",
		Architecture: runtime.GOARCH,
		Created:      v1.Time{Time: epoch},
		RootFS:       v1.RootFS{Type: "layers"},
		Config:       config,
	}
}

// labels are OCI's names for what an image is, as labels and as annotations.
func (m maker) labels(r recipe) map[string]string {
	labels := map[string]string{"org.opencontainers.image.title": r.title}
	if slices.Contains([]string{Entrypoint, Mutator, Dispatcher}, r.name) {
		labels["org.opencontainers.image.version"] = m.version
	}
	return labels
}

// image returns the image from the cache, made if need be.
func (m maker) image(ctx context.Context, c *cache, r recipe, key string) (v1.Image, error) {
	image, err := c.find(r.name, key)
	if err != nil || image != nil {
		return image, err
	}
	image = empty.Image
	if b := findBase(r.base); b != nil {
		if image, err = m.base(ctx, c, *b); err != nil {
			return nil, err
		}
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, fmt.Errorf("read the base of image %s: %w", r.name, err)
	}
	if files := r.content(m.bin); len(files) > 0 {
		layers = append(layers, layerOf(files))
	}
	image, err = assemble(m.config(r), layers)
	if err != nil {
		return nil, fmt.Errorf("make image %s: %w", r.name, err)
	}
	annotated, ok := mutate.Annotations(image, m.labels(r)).(v1.Image)
	if !ok {
		return nil, fmt.Errorf("make image %s: annotations turned it into something else", r.name)
	}
	return c.add(r.name, key, annotated)
}

// assemble returns an OCI image with the configuration and the layers.
func assemble(config *v1.ConfigFile, layers []v1.Layer) (v1.Image, error) {
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("set the configuration: %w", err)
	}
	for _, layer := range layers {
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch}}})
		if err != nil {
			return nil, fmt.Errorf("add a layer: %w", err)
		}
	}
	return image, nil
}

// base returns an image of a base's one layer, made if need be.
func (m maker) base(ctx context.Context, c *cache, b base) (v1.Image, error) {
	key, err := b.key(ctx)
	if err != nil {
		return nil, err
	}
	key = fmt.Sprintf("%x", sha256.Sum256([]byte(key)))[:16]
	image, err := c.find(b.name, key)
	if err != nil || image != nil {
		return image, err
	}
	m.progress.Start("make "+b.title, b.estimate)
	image, err = m.makeBase(ctx, c, b, key)
	if err != nil {
		m.progress.Fail(err)
		return nil, err
	}
	m.progress.Done()
	return image, nil
}

func (m maker) makeBase(ctx context.Context, c *cache, b base, key string) (v1.Image, error) {
	if err := build.CheckSpace(b.space, string(c.path)); err != nil {
		return nil, err
	}
	scratch := c.scratch()
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	layer, err := b.make(ctx, scratch, m.progress.Note)
	if err != nil {
		return nil, err
	}
	image, err := assemble(m.config(recipe{}), []v1.Layer{layer})
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", b.title, err)
	}
	m.progress.Note("compressing")
	return c.add(b.name, key, image)
}

func findBase(name string) *base {
	for i := range bases {
		if bases[i].name == name {
			return &bases[i]
		}
	}
	return nil
}

// pushTime is what a push of one image over the loopback takes.
const pushTime = 2 * time.Second

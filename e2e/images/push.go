package images

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
)

// Options says where images and programs come from. The zero value is the
// checkout around the working directory and the user's cache.
type Options struct {
	Progress  build.Progress // hears what goes on; nil: nobody does
	Directory string         // lies in the checkout; empty: the working directory
	Cache     string         // as in build.Options
}

// Push is Options.Push with the zero options.
func Push(ctx context.Context, registry string, names ...string) (map[string]string, error) {
	return Options{}.Push(ctx, registry, names...)
}

// Push makes sure that the registry has the images, and returns their references
// by name: "127.0.0.1:5010/agent-stack-k8s/agent:5f0c…". Without names it is all
// images. What the registry has is left alone.
//
// registry is a host, with a port or a path or neither: "ghcr.io/me". Over plain
// HTTP it is spoken to if it is on this machine or begins with "http://".
// Credentials are those of docker login.
//
// Programs that are missing are built first. The agent image is made with
// debootstrap, which needs root and, once, the distribution's mirror.
func (o Options) Push(ctx context.Context, registry string, names ...string) (map[string]string, error) {
	if o.Progress == nil {
		o.Progress = build.Silence
	}
	chosen, err := find(names)
	if err != nil {
		return nil, err
	}
	m, err := o.maker(ctx, chosen)
	if err != nil {
		return nil, err
	}
	return o.push(ctx, m, registry, chosen)
}

// push is Push once the programs are built.
func (o Options) push(ctx context.Context, m maker, registry string, chosen []recipe) (map[string]string, error) {
	references, absent := map[string]string{}, map[string]name.Tag{}
	keys := map[string]string{}
	for _, r := range chosen {
		var err error
		if keys[r.name], err = m.key(ctx, r); err != nil {
			return nil, err
		}
		tag, err := reference(registry, r.name, keys[r.name])
		if err != nil {
			return nil, err
		}
		references[r.name] = tag.Name()
		if !present(ctx, tag) {
			absent[r.name] = tag
		}
	}
	if len(absent) == 0 {
		return references, nil
	}
	c, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, r := range chosen {
		tag, missing := absent[r.name]
		if !missing {
			continue
		}
		image, err := m.image(ctx, c, r, keys[r.name])
		if err != nil {
			return nil, err
		}
		o.Progress.Start("push "+r.name, pushTime)
		if err := upload(ctx, tag, image); err != nil {
			o.Progress.Fail(err)
			return nil, err
		}
		o.Progress.Done()
	}
	return references, nil
}

// MakeBase makes what the images share and needs no program of ours, above all
// Debian's root file system, so that it can happen while programs compile.
func (o Options) MakeBase(ctx context.Context) error {
	if o.Progress == nil {
		o.Progress = build.Silence
	}
	c, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for _, b := range bases {
		if _, err := (maker{progress: o.Progress}).base(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}

// maker builds the programs that the recipes need.
func (o Options) maker(ctx context.Context, chosen []recipe) (maker, error) {
	var targets []build.Group
	for _, r := range chosen {
		for program := range r.programs {
			targets = append(targets, build.Group(program))
		}
	}
	m := maker{progress: o.Progress}
	if len(targets) == 0 {
		return m, nil
	}
	bin, err := build.Build(ctx, build.Options{Groups: targets, Progress: o.Progress, Directory: o.Directory, Cache: o.Cache})
	if err != nil {
		return maker{}, fmt.Errorf("build the programs of the images: %w", err)
	}
	m.bin, m.version = bin, build.Version(ctx, o.Directory)
	return m, nil
}

func (o Options) open(ctx context.Context) (*cache, error) {
	directory := o.Cache
	if directory == "" {
		var err error
		if directory, err = build.DefaultCache(); err != nil {
			return nil, err
		}
	}
	return openCache(ctx, directory, o.Progress)
}

// reference returns an image's tag in the registry.
func reference(registry, image, key string) (name.Tag, error) {
	host, plain := strings.CutPrefix(registry, "http://")
	var options []name.Option
	if plain {
		options = append(options, name.Insecure)
	}
	text := strings.TrimSuffix(host, "/") + "/agent-stack-k8s/" + image + ":" + key
	tag, err := name.NewTag(text, append(options, name.StrictValidation)...)
	if err != nil {
		return name.Tag{}, fmt.Errorf("use registry %q: %w; give a host, such as localhost:5001 or ghcr.io/me", registry, err)
	}
	return tag, nil
}

// present tells whether the registry has the image with all its layers. Where it
// cannot tell, the push finds out why.
func present(ctx context.Context, tag name.Tag) bool {
	image, err := remote.Image(tag, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
	return err == nil && validate.Image(image, validate.Fast) == nil
}

func upload(ctx context.Context, tag name.Tag, image v1.Image) error {
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w; is the registry running?", tag.Name(), err)
	}
	return nil
}

// Command entrypoint-image builds the entrypoint for each platform and pushes an
// image of it: one static file and nothing else, which init containers run and
// pods mount as a volume. ko would put the file into a directory of its own, and
// below a base image; both would be in the way of the mount.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const usage = `usage: entrypoint-image --repository REPOSITORY [--version VERSION] [--platform OS/ARCH,...]

Builds cmd/entrypoint and pushes REPOSITORY:VERSION, an index with an image for
each platform, and for each of them what it is made of, in SPDX. Prints its
reference with the digest. Credentials are those of docker login.

`

type options struct {
	checkout, repository, version string
	platforms                     []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "entrypoint-image: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout io.Writer) error {
	var o options
	flags := flag.NewFlagSet("entrypoint-image", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.checkout, "checkout", ".", "root of the repository")
	flags.StringVar(&o.repository, "repository", "", "where to push, such as ghcr.io/me/entrypoint")
	flags.StringVar(&o.version, "version", "latest", "tag, and the version that the entrypoint reports")
	platforms := flags.String("platform", "linux/amd64,linux/arm64", "platforms, with commas between them")
	if err := flags.Parse(arguments); err != nil {
		return err //nolint:wrapcheck // the flag package has printed it with the usage
	}
	o.platforms = strings.Split(*platforms, ",")
	if o.repository == "" {
		return errors.New("--repository: say where to push, such as ghcr.io/me/entrypoint")
	}
	reference, err := push(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, reference)
	return nil
}

func push(ctx context.Context, o options) (string, error) {
	tag, err := name.NewTag(o.repository + ":" + o.version)
	if err != nil {
		return "", fmt.Errorf("read the reference: %w", err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	documents := map[v1.Hash]*document{}
	var images []v1.Hash
	for _, text := range o.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return "", fmt.Errorf("read --platform: %w", err)
		}
		image, program, err := o.image(ctx, platform)
		if err != nil {
			return "", err
		}
		digest, err := image.Digest()
		if err != nil {
			return "", fmt.Errorf("compute the digest: %w", err)
		}
		if documents[digest], err = ofProgram(digest, o.version, program); err != nil {
			return "", err
		}
		images = append(images, digest)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("compute the digest: %w", err)
	}
	documents[digest] = ofIndex(digest, images)
	for subject, document := range documents {
		if err := document.push(ctx, tag.Repository, subject); err != nil {
			return "", err
		}
	}
	if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("push %s: %w", tag, err)
	}
	return tag.String() + "@" + digest.String(), nil
}

// image builds the program for a platform, and returns it too. The same sources
// give the same image: it has no time.
func (o options) image(ctx context.Context, platform *v1.Platform) (v1.Image, []byte, error) {
	directory, err := os.MkdirTemp("", "entrypoint-image-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(directory)
	program := filepath.Join(directory, "entrypoint")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+o.version, "-o", program, "./cmd/entrypoint")
	command.Dir = o.checkout
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, nil, fmt.Errorf("build the entrypoint for %s: %w", platform, err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, nil, fmt.Errorf("read the entrypoint: %w", err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{Name: "entrypoint", Mode: 0o755, Size: int64(len(content)), Format: tar.FormatPAX}
	if err := errors.Join(writer.WriteHeader(header), write(writer, content), writer.Close()); err != nil {
		return nil, nil, fmt.Errorf("make the layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, nil, fmt.Errorf("make the layer: %w", err)
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
	if err != nil {
		return nil, nil, fmt.Errorf("make the image: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, nil, fmt.Errorf("make the image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = platform.OS, platform.Architecture
	file.Config = v1.Config{User: "65532:65532", Entrypoint: []string{"/entrypoint"}}
	image, err = mutate.ConfigFile(image, file)
	if err != nil {
		return nil, nil, fmt.Errorf("make the image: %w", err)
	}
	return image, content, nil
}

func write(writer io.Writer, content []byte) error {
	_, err := writer.Write(content)
	return err //nolint:wrapcheck // the caller says what was being made
}

package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// sandbox is the image whose one program holds each pod's namespaces open.
type sandbox struct {
	image  v1.Image
	digest v1.Hash
}

// makeSandbox makes the image of a static program. The same program gives the
// same image.
func makeSandbox(program string) (sandbox, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(content)), Format: tar.FormatUSTAR}
	if err := writer.WriteHeader(header); err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	if _, err := writer.Write(content); err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	if err := writer.Close(); err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Entrypoint, file.Config.User = []string{"/pause"}, "65535:65535"
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return sandbox{}, fmt.Errorf("make the sandbox image: %w", err)
	}
	return sandbox{image: image, digest: digest}, nil
}

// reference names the image by its content, so that another program is pulled
// anew.
func (s sandbox) reference() string { return Registry + "/pause:" + s.digest.Hex[:12] }

func (s sandbox) push(ctx context.Context) error {
	tag, err := name.NewTag(s.reference(), name.Insecure)
	if err != nil {
		return fmt.Errorf("push the sandbox image: %w", err)
	}
	if err := remote.Write(tag, s.image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push the sandbox image: %w", err)
	}
	return nil
}

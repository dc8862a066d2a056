package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// sizeLimit is how large the entrypoint may be: it is pulled to every node.
const sizeLimit = 6 << 20

// TestPush pushes the image to a registry of this process and looks at what a node
// would pull.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/entrypoint"
	var output bytes.Buffer
	if err := run(t.Context(), []string{"--checkout=../../..", "--repository=" + repository, "--version=v1.2.3"}, &output); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(strings.TrimSpace(output.String()))
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, descriptor := range manifest.Manifests {
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		check(t, image, machines[descriptor.Platform.Architecture])
		delete(machines, descriptor.Platform.Architecture)
	}
	if len(machines) > 0 {
		t.Errorf("no image for %v", machines)
	}
}

func check(t *testing.T, image v1.Image, machine elf.Machine) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/entrypoint"}) {
		t.Errorf("user %q, entrypoint %q", config.Config.User, config.Config.Entrypoint)
	}
	files := tar.NewReader(mutate.Extract(image))
	header, err := files.Next()
	if err != nil || header.Name != "entrypoint" || header.Mode != 0o755 {
		t.Fatalf("first file %+v (%v)", header, err)
	}
	program, err := io.ReadAll(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(program) > sizeLimit {
		t.Errorf("%d bytes for %s, want at most %d", len(program), machine, sizeLimit)
	}
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if binary.Machine != machine || slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("%s, want a static program for %s", binary.Machine, machine)
	}
	if _, err := files.Next(); err != io.EOF {
		t.Errorf("there is more than one file (%v)", err)
	}
}

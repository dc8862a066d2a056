package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
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
		materials := billOf(t, reference, descriptor.Digest)
		for _, want := range []string{"pkg:golang/github.com/buildkite/agent-stack-k8s@v1.2.3", "pkg:golang/golang.org/x/sys@v", "pkg:golang/stdlib@go1."} {
			if !slices.ContainsFunc(materials, func(material string) bool { return strings.HasPrefix(material, want) }) {
				t.Errorf("the bill of materials for %s lacks %s: %s", descriptor.Platform, want, materials)
			}
		}
		delete(machines, descriptor.Platform.Architecture)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if materials := billOf(t, reference, digest); len(materials) != 3 {
		t.Errorf("the bill of materials of the index has %s, want itself and two images", materials)
	}
	if len(machines) > 0 {
		t.Errorf("no image for %v", machines)
	}
}

// billOf reads what an image is made of, as cosign finds it.
func billOf(t *testing.T, of name.Reference, digest v1.Hash) []string {
	t.Helper()
	image, err := remote.Image(of.Context().Tag("sha256-" + digest.Hex + ".sbom"))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v)", len(layers), err)
	}
	if media, err := layers[0].MediaType(); err != nil || media != spdxMedia {
		t.Errorf("media type %s (%v)", media, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var read document
	if err := json.NewDecoder(content).Decode(&read); err != nil {
		t.Fatal(err)
	}
	if read.Name != "entrypoint@"+digest.String() {
		t.Errorf("it describes %s", read.Name)
	}
	var materials []string
	for _, one := range read.Packages {
		materials = append(materials, one.References[0].Locator)
	}
	return materials
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

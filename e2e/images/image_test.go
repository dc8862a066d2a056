package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
)

// programs writes stand-ins for built programs and returns their directory.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	directory := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(directory, name), []byte("program "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func open(t *testing.T, directory string) *cache {
	t.Helper()
	c, err := openCache(t.Context(), directory, build.Silence)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func recipeOf(t *testing.T, name string) recipe {
	t.Helper()
	found, err := find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func makeImage(t *testing.T, m maker, c *cache, r recipe) v1.Image {
	t.Helper()
	key, err := m.key(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	image, err := m.image(t.Context(), c, r, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("%s: %v", r.name, err)
	}
	return image
}

// entry is what a test wants to know of a file in an image.
type entry struct {
	Mode int64
	User int
	Link string
	Text string
}

func entries(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	reader := mutate.Extract(image)
	defer func() { _ = reader.Close() }()
	return unpack(t, reader)
}

func unpack(t *testing.T, reader io.Reader) map[string]entry {
	t.Helper()
	found := map[string]entry{}
	archive := tar.NewReader(reader)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(epoch) {
			t.Errorf("%s is of %s", header.Name, header.ModTime)
		}
		found[header.Name] = entry{Mode: header.Mode, User: header.Uid, Link: header.Linkname, Text: string(text)}
	}
}

func TestImagesOfOneProgram(t *testing.T) {
	bin := programs(t, "hello", "entrypoint", "mutator", "dispatcher")
	m := maker{bin: bin, version: "1.2.3", progress: build.Silence}
	c := open(t, t.TempDir())
	cases := map[string]struct {
		image, program, user, version string
	}{
		"no shell":   {image: NoShell, program: "hello"},
		"entrypoint": {image: Entrypoint, program: "entrypoint", version: "1.2.3"},
		"mutator":    {image: Mutator, program: "mutator", user: "65532:65532", version: "1.2.3"},
		"dispatcher": {image: Dispatcher, program: "dispatcher", user: "65532:65532", version: "1.2.3"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			image := makeImage(t, m, c, recipeOf(t, tc.image))
			want := map[string]entry{tc.program: {Mode: 0o755, Text: "program " + tc.program}}
			if diff := cmp.Diff(want, entries(t, image)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if config.Config.User != tc.user || !slices.Equal(config.Config.Entrypoint, []string{"/" + tc.program}) {
				t.Errorf("user %q, entrypoint %q", config.Config.User, config.Config.Entrypoint)
			}
			manifest, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			for place, labels := range map[string]map[string]string{"labels": config.Config.Labels, "annotations": manifest.Annotations} {
				if labels["org.opencontainers.image.title"] == "" || labels["org.opencontainers.image.version"] != tc.version {
					t.Errorf("%s %v", place, labels)
				}
			}
		})
	}
}

func TestSameContentSameDigest(t *testing.T) {
	r := recipeOf(t, NoShell)
	var digests []v1.Hash
	for range 2 {
		m := maker{bin: programs(t, "hello"), progress: build.Silence}
		digest, err := makeImage(t, m, open(t, t.TempDir()), r).Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %v", digests)
	}
}

func TestKeysFollowTheContent(t *testing.T) {
	bin := programs(t, "buildkite-agent", "mutator")
	r := recipeOf(t, Mutator)
	keys := map[string]string{}
	note := func(name string, m maker, r recipe) {
		key, err := m.key(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s have the same key", name, other)
		}
		keys[key] = name
	}
	note("first", maker{bin: bin}, r)
	note("version", maker{bin: bin, version: "1"}, r)
	root := r
	root.config.User = ""
	note("user", maker{bin: bin}, root)
	moved := r
	moved.programs = map[string]string{"mutator": "usr/bin/mutator"}
	note("path", maker{bin: bin}, moved)
	if err := os.WriteFile(filepath.Join(bin, "mutator"), []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	note("program", maker{bin: bin}, r)
}

func TestEveryNameHasOneRecipe(t *testing.T) {
	var made []string
	for _, r := range recipes {
		made = append(made, r.name)
	}
	if names := Names(); !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(made))) {
		t.Errorf("names %q, recipes %q", names, made)
	}
}

func TestFindRefusesUnknownNames(t *testing.T) {
	_, err := find([]string{"agnet"})
	if err == nil || !strings.Contains(err.Error(), `"agnet": no such image; have agent, shell`) {
		t.Errorf("got error %v", err)
	}
}

func TestBusyboxFiles(t *testing.T) {
	binary := filepath.Join(programs(t, "busybox"), "busybox")
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	files := busyboxFiles(binary, []string{"bin/sh", "usr/bin/env", "linuxrc", "bin/busybox"})
	seen := map[string]bool{".": true}
	for _, f := range files {
		if !seen[filepath.Dir(f.name)] {
			t.Errorf("%s comes before its directory", f.name)
		}
		seen[f.name] = f.directory
		if err := f.write(archive); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	got := unpack(t, &layer)
	delete(got, "etc/passwd")
	delete(got, "etc/group")
	want := map[string]entry{
		"bin/": {Mode: 0o755}, "etc/": {Mode: 0o755}, "root/": {Mode: 0o700}, "tmp/": {Mode: 0o1777},
		"usr/": {Mode: 0o755}, "usr/bin/": {Mode: 0o755}, "var/": {Mode: 0o755}, "var/tmp/": {Mode: 0o1777},
		"bin/busybox": {Mode: 0o755, Text: "program busybox"},
		"bin/sh":      {Mode: 0o777, Link: "/bin/busybox"},
		"usr/bin/env": {Mode: 0o777, Link: "/bin/busybox"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestArchiveTree(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"etc/passwd", "etc/hostname", "usr/bin/tool", "usr/share/doc/tool/README", "var/log/dpkg.log"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	setuid := filepath.Join(root, "usr/bin/tool")
	for _, err := range []error{
		os.Chmod(setuid, 0o755|fs.ModeSetuid),
		os.Link(setuid, filepath.Join(root, "usr/bin/twin")),
		os.Symlink("usr/bin", filepath.Join(root, "bin")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	archives := make([]bytes.Buffer, 2)
	for i := range archives {
		archive := tar.NewWriter(&archives[i])
		if err := archiveTree(archive, root, omitted); err != nil {
			t.Fatal(err)
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("the same directory makes different archives")
	}
	user := os.Getuid()
	want := map[string]entry{
		"bin":  {Mode: 0o777, User: user, Link: "usr/bin"},
		"etc/": {Mode: 0o755, User: user}, "etc/passwd": {Mode: 0o644, User: user, Text: "etc/passwd"},
		"usr/": {Mode: 0o755, User: user}, "usr/bin/": {Mode: 0o755, User: user},
		"usr/bin/tool": {Mode: 0o4755, User: user, Text: "usr/bin/tool"},
		"usr/bin/twin": {Mode: 0o4755, User: user, Link: "usr/bin/tool"},
		"usr/share/":   {Mode: 0o755, User: user}, "usr/share/doc/": {Mode: 0o755, User: user},
		"var/": {Mode: 0o755, User: user}, "var/log/": {Mode: 0o755, User: user},
	}
	if diff := cmp.Diff(want, unpack(t, &archives[0])); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

package registry

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// serve starts a registry on the directory, as a fresh process would.
func serve(t *testing.T, directory string) string {
	t.Helper()
	r, err := New(directory, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func push(t *testing.T, reference string) v1.Image {
	t.Helper()
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return image
}

func pull(t *testing.T, reference string) (v1.Image, error) {
	t.Helper()
	parsed, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(parsed, remote.WithContext(t.Context()))
	if err != nil {
		return nil, err
	}
	return image, validate.Image(image)
}

func TestImagesAndIndexesOutliveTheProcess(t *testing.T) {
	directory := t.TempDir()
	host := serve(t, directory)
	image := push(t, host+"/deep/er/app:one")
	index, err := random.Index(100, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host+"/many:latest", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}

	host = serve(t, directory)
	pulled, err := pull(t, host+"/deep/er/app:one")
	if err != nil {
		t.Fatal(err)
	}
	want, _ := image.Digest()
	got, _ := pulled.Digest()
	if want != got {
		t.Errorf("pulled %s, pushed %s", got, want)
	}
	if _, err := pull(t, host+"/deep/er/app@"+want.String()); err != nil {
		t.Errorf("pull by digest: %v", err)
	}
	tag, _ = name.NewTag(host+"/many:latest", name.Insecure)
	again, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(again); err != nil {
		t.Error(err)
	}
	if _, err := pull(t, host+"/deep/er/app:two"); err == nil {
		t.Error("an image that was never pushed was pulled")
	}
}

func TestOldTagsGoWithTheirBlobs(t *testing.T) {
	directory := t.TempDir()
	host := serve(t, directory)
	tags := strings.Split("abcdefgh", "")
	stored := store{directory}
	for i, tag := range tags {
		push(t, host+"/app:"+tag)
		old := time.Now().Add(time.Duration(i-100) * time.Hour)
		entries, _ := filepath.Glob(filepath.Join(stored.manifests(), "*.json"))
		for _, entry := range entries { // the digest's too
			if info, err := os.Stat(entry); err == nil && time.Since(info.ModTime()) < time.Minute {
				_ = os.Chtimes(entry, old, old)
			}
		}
	}
	if _, err := pull(t, host+"/app:a"); err != nil { // used just now
		t.Fatal(err)
	}
	host = serve(t, directory)
	var kept []string
	for _, tag := range tags {
		if _, err := pull(t, host+"/app:"+tag); err == nil {
			kept = append(kept, tag)
		}
	}
	if diff := cmp.Diff([]string{"a", "e", "f", "g", "h"}, kept); diff != "" {
		t.Errorf("tags kept (-want +got):\n%s", diff)
	}
	blobs, _ := filepath.Glob(filepath.Join(stored.blobs(), "sha256", "*"))
	if want := 3 * keptTags; len(blobs) != want {
		t.Errorf("%d blobs left, want %d", len(blobs), want)
	}
}

func TestADamagedManifestIsForgotten(t *testing.T) {
	directory := t.TempDir()
	host := serve(t, directory)
	push(t, host+"/app:one")
	file := store{directory}.file("app", "one")
	if err := os.WriteFile(file, []byte(`{"repository":`), 0o600); err != nil {
		t.Fatal(err)
	}
	host = serve(t, directory)
	if _, err := pull(t, host+"/app:one"); err == nil {
		t.Error("a damaged manifest was served")
	}
	push(t, host+"/app:one")
	if _, err := pull(t, host+"/app:one"); err != nil {
		t.Error(err)
	}
}

func TestSplitPath(t *testing.T) {
	cases := map[string]struct {
		path string
		want [2]string
		ok   bool
	}{
		"tag":       {"/v2/a/b/manifests/one", [2]string{"a/b", "one"}, true},
		"digest":    {"/v2/a/manifests/sha256:00", [2]string{"a", "sha256:00"}, true},
		"blob":      {"/v2/a/blobs/sha256:00", [2]string{}, false},
		"outside":   {"/v2/../a/manifests/one", [2]string{}, false},
		"no name":   {"/v2/manifests/one", [2]string{}, false},
		"reference": {"/v2/a/manifests/..", [2]string{}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			repository, reference, ok := splitPath(tc.path)
			if ok != tc.ok || ok && (repository != tc.want[0] || reference != tc.want[1]) {
				t.Errorf("got %q, %q, %v; want %v, %v", repository, reference, ok, tc.want, tc.ok)
			}
		})
	}
}

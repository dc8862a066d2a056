package images

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
)

// server is a registry that counts uploads.
type server struct {
	host    string
	uploads int
	handler http.Handler
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.forget()
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.uploads++
		}
		s.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	s.host = strings.TrimPrefix(listener.URL, "http://")
	return s
}

// forget drops everything that was pushed.
func (s *server) forget() {
	s.handler, s.uploads = registry.New(registry.Logger(log.New(io.Discard, "", 0))), 0
}

func pushNoShell(t *testing.T, s *server, cacheDirectory, bin string) string {
	t.Helper()
	m := maker{bin: bin, progress: build.Silence}
	references, err := Options{Progress: build.Silence, Cache: cacheDirectory}.push(t.Context(), m, s.host, []recipe{recipeOf(t, NoShell)})
	if err != nil {
		t.Fatal(err)
	}
	return references[NoShell]
}

func TestPushOnlyWhatIsMissing(t *testing.T) {
	s, directory, bin := newServer(t), t.TempDir(), programs(t, "hello")
	reference := pushNoShell(t, s, directory, bin)
	if !strings.HasPrefix(reference, s.host+"/agent-stack-k8s/no-shell:") || s.uploads == 0 {
		t.Errorf("pushed %q with %d uploads", reference, s.uploads)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got := entries(t, image)["hello"].Text; got != "program hello" {
		t.Errorf("the registry has %q", got)
	}
	before := s.uploads
	if again := pushNoShell(t, s, directory, bin); again != reference || s.uploads != before {
		t.Errorf("pushed again: %q with %d uploads", again, s.uploads-before)
	}
}

func TestPushRestoresALostImageFromDisk(t *testing.T) {
	s, directory, bin := newServer(t), t.TempDir(), programs(t, "hello")
	reference := pushNoShell(t, s, directory, bin)
	blobs, err := filepath.Glob(filepath.Join(directory, "images/layout/blobs/sha256/*"))
	if err != nil || len(blobs) != 3 {
		t.Fatalf("cached blobs %q, %v", blobs, err)
	}
	s.forget()
	if again := pushNoShell(t, s, directory, bin); again != reference || s.uploads == 0 {
		t.Errorf("pushed %q with %d uploads", again, s.uploads)
	}
	if now, _ := filepath.Glob(filepath.Join(directory, "images/layout/blobs/sha256/*")); len(now) != 3 {
		t.Errorf("cached blobs %q", now)
	}
}

func TestACacheThatWasLeftInTheMiddleIsMadeAnew(t *testing.T) {
	s, directory, bin := newServer(t), t.TempDir(), programs(t, "hello")
	pushNoShell(t, s, directory, bin)
	s.forget()
	layout := filepath.Join(directory, "images/layout")
	for _, name := range []string{"writing", "index.json"} {
		if err := os.WriteFile(filepath.Join(layout, name), []byte(`{"manif`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pushNoShell(t, s, directory, bin); s.uploads == 0 {
		t.Error("nothing was pushed")
	}
	if _, err := os.Stat(filepath.Join(layout, "writing")); err == nil {
		t.Error("the cache is still marked as damaged")
	}
}

func TestOldVersionsAreDropped(t *testing.T) {
	s, directory := newServer(t), t.TempDir()
	for _, text := range []string{"1", "2", "3", "4", "5"} {
		bin := t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "hello"), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		pushNoShell(t, s, directory, bin)
	}
	// Manifest, configuration and layer of each.
	if blobs, _ := filepath.Glob(filepath.Join(directory, "images/layout/blobs/sha256/*")); len(blobs) != 3*kept {
		t.Errorf("%d blobs are left, want %d", len(blobs), 3*kept)
	}
}

func TestReference(t *testing.T) {
	cases := map[string]struct {
		registry, want, scheme, err string
	}{
		"loopback":   {registry: "127.0.0.1:5010", want: "127.0.0.1:5010/agent-stack-k8s/agent:key", scheme: "http"},
		"path":       {registry: "ghcr.io/me/", want: "ghcr.io/me/agent-stack-k8s/agent:key", scheme: "https"},
		"plain http": {registry: "http://registry.lan:5000", want: "registry.lan:5000/agent-stack-k8s/agent:key", scheme: "http"},
		"nonsense":   {registry: "ghcr.io/Me Too", err: `use registry "ghcr.io/Me Too": `},
		"empty":      {registry: "", err: `use registry "": `},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tag, err := reference(tc.registry, "agent", "key")
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Errorf("got error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tag.Name() != tc.want || tag.Scheme() != tc.scheme {
				t.Errorf("got %s over %s", tag.Name(), tag.Scheme())
			}
		})
	}
}

func TestPushSaysThatTheRegistryIsNotThere(t *testing.T) {
	gone := httptest.NewServer(nil)
	host := strings.TrimPrefix(gone.URL, "http://")
	gone.Close()
	m := maker{bin: programs(t, "hello"), progress: build.Silence}
	_, err := Options{Progress: build.Silence, Cache: t.TempDir()}.push(t.Context(), m, host, []recipe{recipeOf(t, NoShell)})
	if err == nil || !strings.Contains(err.Error(), "push "+host+"/agent-stack-k8s/no-shell:") || !strings.Contains(err.Error(), "is the registry running?") {
		t.Errorf("got error %v", err)
	}
}

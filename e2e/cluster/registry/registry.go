// Package registry is an OCI registry whose images outlive its process, so that a
// cluster's second start finds them. The protocol is go-containerregistry's; that
// keeps blobs on disk but manifests in memory, so this package keeps those.
package registry

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	upstream "github.com/google/go-containerregistry/pkg/registry"
)

// Registry answers the registry protocol.
type Registry struct {
	protocol http.Handler
	store    store
	logger   *slog.Logger
}

// New returns the registry whose images are under the directory, which is made
// when it is not there. Of each repository the newest tags stay, by last use;
// what no tag leads to any more is removed.
func New(directory string, logger *slog.Logger) (*Registry, error) {
	r := &Registry{store: store{directory}, logger: logger}
	for _, path := range []string{r.store.blobs(), r.store.manifests()} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("make the registry's directory: %w", err)
		}
	}
	if err := r.store.prune(); err != nil {
		return nil, err
	}
	r.protocol = upstream.New(
		upstream.Logger(slog.NewLogLogger(logger.Handler(), slog.LevelDebug)),
		upstream.WithBlobHandler(upstream.NewDiskBlobHandler(r.store.blobs())),
	)
	manifests, err := r.store.load()
	if err != nil {
		return nil, err
	}
	for _, m := range manifests {
		r.replay(m)
	}
	return r, nil
}

// replay puts a stored manifest into the memory of the protocol's implementation.
func (r *Registry) replay(m manifest) {
	request, err := http.NewRequest(http.MethodPut, "/v2/"+m.Repository+"/manifests/"+m.Reference, strings.NewReader(m.Content))
	if err != nil {
		r.logger.Warn("skip a stored manifest", slog.String("repository", m.Repository), slog.Any("error", err))
		return
	}
	request.Header.Set("Content-Type", m.ContentType)
	answer := &recorder{header: http.Header{}}
	r.protocol.ServeHTTP(answer, request)
	if answer.status != http.StatusCreated {
		r.logger.Warn("skip a stored manifest", slog.String("repository", m.Repository), slog.String("reference", m.Reference), slog.Int("status", answer.status))
	}
}

// ServeHTTP keeps what is pushed and notes what is used.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	repository, reference, isManifest := splitPath(request.URL.Path)
	switch {
	case isManifest && request.Method == http.MethodPut:
		r.put(w, request, repository, reference)
	case isManifest && request.Method == http.MethodDelete:
		if err := r.store.remove(repository, reference); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		r.protocol.ServeHTTP(w, request)
	default:
		if isManifest {
			r.store.touch(repository, reference)
		}
		r.protocol.ServeHTTP(w, request)
	}
}

// maxManifest bounds what a client can make us hold, in bytes; the specification
// asks registries to take 4 MiB.
const maxManifest = 8 << 20

func (r *Registry) put(w http.ResponseWriter, request *http.Request, repository, reference string) {
	content, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxManifest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	request.Body = io.NopCloser(strings.NewReader(string(content)))
	answer := &recorder{header: http.Header{}}
	r.protocol.ServeHTTP(answer, request)
	if answer.status == http.StatusCreated {
		m := manifest{Repository: repository, Reference: reference, ContentType: request.Header.Get("Content-Type"), Content: string(content)}
		if err := r.store.save(m); err != nil {
			r.logger.Error("save a manifest", slog.String("repository", repository), slog.Any("error", err))
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	answer.replay(w)
}

// splitPath takes /v2/NAME/manifests/REFERENCE apart; anything that could lead
// out of the store is not a manifest's path.
func splitPath(path string) (repository, reference string, ok bool) {
	elements := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	n := len(elements)
	if !strings.HasPrefix(path, "/v2/") || n < 3 || elements[n-2] != "manifests" {
		return "", "", false
	}
	repository, reference = strings.Join(elements[:n-2], "/"), elements[n-1]
	return repository, reference, filepath.IsLocal(repository) && filepath.IsLocal(reference)
}

// recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) replay(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(max(r.status, http.StatusOK))
	_, _ = io.WriteString(w, r.body.String())
}

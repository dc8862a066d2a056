package control

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// maxArtifactBytes bounds one upload, which is kept in memory.
const maxArtifactBytes = 64 << 20

// artifactRoutes are what stands in for Buildkite's artifact storage. A URL with
// its random part is all the right one needs, as with signed URLs.
func (s *server) artifactRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /artifacts/{artifact}/upload/{token}", s.upload)
	mux.HandleFunc("GET /artifacts/{artifact}", s.download)
}

func (s *server) artifacts(r *http.Request) (any, error) {
	query := r.URL.Query()
	found, err := s.store.SearchArtifacts(r.PathValue("build"), state.ArtifactSearch{
		Query: query.Get("query"), Scope: query.Get("scope"), State: query.Get("state"),
		Duplicates: true,
	})
	if found == nil {
		found = []state.Artifact{}
	}
	return found, err
}

// upload takes a multipart form whose last part is the file.
func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxArtifactBytes)
	data, err := fileOf(r)
	if err == nil {
		err = s.store.StoreArtifact(r.PathValue("artifact"), r.PathValue("token"), data)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func fileOf(r *http.Request) ([]byte, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, &state.Problem{Status: http.StatusBadRequest, Message: "read form: " + err.Error()}
	}
	for {
		var part *multipart.Part
		if part, err = form.NextPart(); err != nil {
			return nil, &state.Problem{Status: http.StatusBadRequest, Message: "read form, which has no file: " + err.Error()}
		}
		if part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, &state.Problem{Status: http.StatusRequestEntityTooLarge, Message: "read file: " + err.Error()}
		}
		return data, nil
	}
}

// download sends a finished artifact, never as something a browser would run.
func (s *server) download(w http.ResponseWriter, r *http.Request) {
	artifact, data, ok := s.store.ArtifactData(r.PathValue("artifact"))
	if !ok {
		writeError(w, missing("artifact", r.PathValue("artifact")))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(artifact.Path)}))
	http.ServeContent(w, r, "", artifact.CreatedAt, bytes.NewReader(data))
}

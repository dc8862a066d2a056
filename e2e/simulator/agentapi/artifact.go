package agentapi

import (
	"net/http"

	"github.com/buildkite/agent/v3/api"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// fileInput is the form field that holds an artifact's bytes.
const fileInput = "file"

func (s *server) createArtifacts(c *call) (any, error) {
	var request api.ArtifactBatch
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	files := make([]state.NewArtifact, 0, len(request.Artifacts))
	for _, artifact := range request.Artifacts {
		if artifact == nil {
			return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "artifacts must not be null"}
		}
		files = append(files, state.NewArtifact{
			Path: artifact.Path, AbsolutePath: artifact.AbsolutePath, GlobPath: artifact.GlobPath, URL: artifact.URL,
			SHA1: artifact.Sha1Sum, SHA256: artifact.Sha256Sum, ContentType: artifact.ContentType, FileSize: artifact.FileSize,
		})
	}
	uploads, err := s.store.CreateArtifacts(c.PathValue("job"), request.ID, request.UploadDestination, files)
	if err != nil {
		return nil, err
	}
	response := api.ArtifactBatchCreateResponse{ID: request.ID, PerArtifactInstructions: map[string]*api.ArtifactUploadInstructions{}}
	for _, upload := range uploads {
		response.ArtifactIDs = append(response.ArtifactIDs, upload.ArtifactUUID)
		response.PerArtifactInstructions[upload.ArtifactUUID] = &api.ArtifactUploadInstructions{
			Action: api.ArtifactUploadAction{URL: s.options.PublicURL, Method: http.MethodPost, Path: upload.Path, FileInput: fileInput},
			Data:   map[string]string{"acl": "private"},
		}
	}
	return response, nil
}

func (s *server) updateArtifacts(c *call) (any, error) {
	var request api.ArtifactBatchUpdateRequest
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	for _, artifact := range request.Artifacts {
		if err := s.store.SetArtifactState(c.PathValue("job"), artifact.ID, artifact.State); err != nil {
			return nil, err
		}
	}
	return nothing{}, nil
}

func (s *server) searchArtifacts(c *call) (any, error) {
	query := c.URL.Query()
	found, err := s.store.SearchArtifacts(c.PathValue("build"), state.ArtifactSearch{
		Query: query.Get("query"), Scope: query.Get("scope"), State: query.Get("state"),
		Duplicates: query.Get("include_duplicates") == "true",
	})
	if err != nil {
		return nil, err
	}
	result := make([]api.Artifact, 0, len(found))
	for _, artifact := range found {
		result = append(result, api.Artifact{
			ID: artifact.UUID, Path: artifact.Path, FileSize: artifact.FileSize, Sha1Sum: artifact.SHA1, Sha256Sum: artifact.SHA256,
			JobID: artifact.JobUUID, CreatedAt: artifact.CreatedAt, URL: artifact.URL,
			UploadDestination: artifact.Destination, ContentType: artifact.ContentType,
		})
	}
	return result, nil
}

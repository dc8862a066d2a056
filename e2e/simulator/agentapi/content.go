package agentapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/buildkite/agent/v3/api"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// contentRoutes are what runs inside a job asks for.
func (s *server) contentRoutes(handle addRoute) {
	for _, scope := range []string{"jobs/{job}", "builds/{build}"} {
		handle("POST "+scope+"/data/get", s.getMetaData, state.JobToken)
		handle("POST "+scope+"/data/exists", s.hasMetaData, state.JobToken)
		handle("POST "+scope+"/data/keys", s.metaDataKeys, state.JobToken)
	}
	handle("POST jobs/{job}/data/set", s.setMetaData, state.JobToken)
	handle("POST jobs/{job}/data/set-batch", s.setMetaDataBatch, state.JobToken)
	handle("POST jobs/{job}/annotations", s.annotate, state.JobToken)
	handle("DELETE jobs/{job}/annotations/{context}", s.removeAnnotation, state.JobToken)
	handle("POST jobs/{job}/artifacts", s.createArtifacts, state.JobToken)
	handle("PUT jobs/{job}/artifacts", s.updateArtifacts, state.JobToken)
	handle("GET builds/{build}/artifacts/search", s.searchArtifacts, state.JobToken)
	handle("POST jobs/{job}/pipelines", s.uploadPipeline, state.JobToken)
	handle("GET jobs/{job}/pipelines/{upload}", s.pipelineUpload, state.JobToken)
	handle("POST steps/{step}/export", s.exportStep, state.JobToken)
	handle("PUT steps/{step}", s.updateStep, state.JobToken)
	handle("POST steps/{step}/cancel", s.cancelStep, state.JobToken)
	handle("POST builds/{build}/cancel", s.cancelBuild, state.JobToken)
	handle("POST jobs/{job}/oidc/tokens", s.oidcToken, state.JobToken)
	handle("GET jobs/{job}/secrets", s.secret, state.JobToken)
}

// scope returns the UUID of the job or the build in the path.
func (c *call) scope() string {
	return c.PathValue("job") + c.PathValue("build") // the path has one of them
}

func (s *server) setMetaData(c *call) (any, error) {
	var request api.MetaData
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	return nothing{}, s.store.SetMetaData(c.scope(), map[string]string{request.Key: request.Value})
}

func (s *server) setMetaDataBatch(c *call) (any, error) {
	var request api.MetaDataBatch
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, item := range request.Items {
		values[item.Key] = item.Value
	}
	return nothing{}, s.store.SetMetaData(c.scope(), values)
}

func (s *server) metaData(c *call) (key string, values map[string]string, err error) {
	var request api.MetaData
	if err := c.decode(&request); err != nil {
		return "", nil, err
	}
	values, err = s.store.MetaData(c.scope())
	return request.Key, values, err
}

func (s *server) getMetaData(c *call) (any, error) {
	key, values, err := s.metaData(c)
	if err != nil {
		return nil, err
	}
	value, ok := values[key]
	if !ok {
		return nil, &state.Problem{Status: http.StatusNotFound, Message: "No meta-data with the key " + key}
	}
	return api.MetaData{Key: key, Value: value}, nil
}

func (s *server) hasMetaData(c *call) (any, error) {
	key, values, err := s.metaData(c)
	if err != nil {
		return nil, err
	}
	_, ok := values[key]
	return api.MetaDataExists{Exists: ok}, nil
}

func (s *server) metaDataKeys(c *call) (any, error) {
	values, err := s.store.MetaData(c.scope())
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	return keys, nil
}

func (s *server) annotate(c *call) (any, error) {
	var request api.Annotation
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	wanted := state.Annotation{Context: request.Context, Body: request.Body, Style: request.Style, Priority: request.Priority}
	if request.Scope == "job" {
		wanted.JobUUID = c.PathValue("job")
	}
	_, err := s.store.Annotate(c.scope(), wanted, request.Append)
	return nil, err
}

func (s *server) removeAnnotation(c *call) (any, error) {
	job := ""
	if c.URL.Query().Get("scope") == "job" {
		job = c.PathValue("job")
	}
	return nothing{}, s.store.RemoveAnnotation(c.scope(), c.PathValue("context"), job)
}

// uploadPipeline answers 202 and where the outcome can be asked for.
func (s *server) uploadPipeline(c *call) (any, error) {
	var request struct {
		UUID     string          `json:"uuid"`
		Pipeline json.RawMessage `json:"pipeline"`
		Replace  bool            `json:"replace"`
	}
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	text := []byte(request.Pipeline)
	var quoted string
	if strings.HasPrefix(string(text), `"`) && json.Unmarshal(text, &quoted) == nil {
		text = []byte(quoted) // YAML in a string
	}
	job := c.PathValue("job")
	if err := s.store.UploadPipeline(job, request.UUID, text, request.Replace); err != nil {
		return nil, err
	}
	c.response.Header().Set("Location", s.options.PublicURL+"/v3/jobs/"+job+"/pipelines/"+request.UUID)
	c.response.Header().Set("Retry-After", "0")
	c.response.WriteHeader(http.StatusAccepted)
	return api.PipelineUploadStatus{State: "pending"}, nil
}

func (s *server) pipelineUpload(c *call) (any, error) {
	outcome, message, err := s.store.PipelineUpload(c.PathValue("job"), c.PathValue("upload"))
	return api.PipelineUploadStatus{State: outcome, Message: message}, err
}

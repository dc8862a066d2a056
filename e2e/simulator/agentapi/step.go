package agentapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/buildkite/agent/v3/api"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// build returns the build a step is looked for in: the one named, or the one of
// the job whose token it is.
func (c *call) build(named string) string {
	if named != "" {
		return named
	}
	return c.identity.JobUUID
}

func (s *server) exportStep(c *call) (any, error) {
	var request api.StepExportRequest
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	output, err := s.store.StepAttribute(c.build(request.Build), c.PathValue("step"), request.Attribute)
	if err == nil && request.Attribute != "" && request.Format == "json" {
		var quoted []byte
		quoted, err = json.Marshal(output)
		output = string(quoted)
	}
	return api.StepExportResponse{Output: output}, err
}

func (s *server) updateStep(c *call) (any, error) {
	var request api.StepUpdate
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	return nothing{}, s.store.UpdateStep(c.build(request.Build), c.PathValue("step"), request.Attribute, request.Value, request.Append)
}

func (s *server) cancelStep(c *call) (any, error) {
	var request api.StepCancel
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	uuid, err := s.store.CancelStep(c.build(request.Build), c.PathValue("step"))
	return api.StepCancelResponse{UUID: uuid}, err
}

func (s *server) cancelBuild(c *call) (any, error) {
	build, err := s.store.CancelBuild(c.PathValue("build"), "build cancel")
	return map[string]string{"uuid": build.UUID}, err
}

func (s *server) secret(c *call) (any, error) {
	key := c.URL.Query().Get("key")
	value, ok := s.options.Secrets[key]
	if !ok {
		return nil, &state.Problem{Status: http.StatusNotFound, Message: "No secret with the key " + key}
	}
	return api.Secret{Key: key, Value: value, UUID: key}, nil
}

func newKey() []byte {
	return []byte(rand.Text())
}

// oidcToken returns a JSON web token with the job's claims, signed with a key
// that nobody else has: good for looking at, not for logging in anywhere.
func (s *server) oidcToken(c *call) (any, error) {
	var request struct {
		Audience string `json:"audience"`
		Lifetime int    `json:"lifetime"`
	}
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	job, _ := s.store.Job(c.PathValue("job"))
	organization := s.store.Organization()
	lifetime := 5 * time.Minute
	if request.Lifetime > 0 {
		lifetime = time.Duration(request.Lifetime) * time.Second
	}
	if request.Audience == "" {
		request.Audience = s.options.PublicURL + "/" + organization.Slug
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": s.options.PublicURL, "aud": request.Audience, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"sub":               "organization:" + organization.Slug + ":pipeline:" + job.PipelineSlug,
		"organization_slug": organization.Slug, "pipeline_slug": job.PipelineSlug,
		"build_number": job.BuildNumber, "step_key": job.StepKey, "job_id": job.UUID, "agent_id": job.AgentUUID,
	})
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, s.signingKey)
	mac.Write([]byte(text))
	return api.OIDCToken{Token: text + "." + encode(mac.Sum(nil))}, nil
}

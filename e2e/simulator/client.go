package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/control"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
)

// Client steers a simulator over HTTP. Its errors hold the simulator's own words.
type Client struct {
	// URL is the simulator's address, without a path.
	URL string
	// HTTP is the client used; nil is http.DefaultClient.
	HTTP *http.Client
}

// pollInterval is how often Wait functions look.
const pollInterval = 150 * time.Millisecond

// CreateRepository makes files the content of a repository.
func (c *Client) CreateRepository(ctx context.Context, request RepositoryRequest) (Repository, error) {
	return send[Repository](ctx, c, http.MethodPost, "repositories", request)
}

// CreateRepositoryFrom makes the files below a directory the content of a
// repository.
func (c *Client) CreateRepositoryFrom(ctx context.Context, name, directory string) (Repository, error) {
	files, err := repository.ReadDirectory(directory)
	if err != nil {
		return Repository{}, err
	}
	return c.CreateRepository(ctx, RepositoryRequest{Name: name, Files: files})
}

// CreateBuild makes a build.
func (c *Client) CreateBuild(ctx context.Context, request BuildRequest) (Build, error) {
	return send[Build](ctx, c, http.MethodPost, "builds", request)
}

// Builds returns the latest builds, newest first, without their jobs.
func (c *Client) Builds(ctx context.Context) ([]Build, error) {
	return send[[]Build](ctx, c, http.MethodGet, "builds", nil)
}

// Build returns a build with its jobs.
func (c *Client) Build(ctx context.Context, uuid string) (Build, error) {
	return send[Build](ctx, c, http.MethodGet, "builds/"+url.PathEscape(uuid), nil)
}

// CancelBuild cancels what is left of a build.
func (c *Client) CancelBuild(ctx context.Context, uuid string) (Build, error) {
	return send[Build](ctx, c, http.MethodPost, "builds/"+url.PathEscape(uuid)+"/cancel", nil)
}

// WaitForBuild waits until a build has ended, or ctx. It calls progress, if not
// nil, with every state it sees.
func (c *Client) WaitForBuild(ctx context.Context, uuid string, progress func(Build)) (Build, error) {
	return wait(ctx, func() (Build, bool, error) {
		build, err := c.Build(ctx, uuid)
		if err == nil && progress != nil {
			progress(build)
		}
		return build, build.State.Ended(), err
	})
}

// Jobs returns up to 500 jobs, newest first, in one of the states if any are given.
func (c *Client) Jobs(ctx context.Context, states ...State) ([]Job, error) {
	names := make([]string, 0, len(states))
	for _, state := range states {
		names = append(names, string(state))
	}
	page, err := send[jobPage](ctx, c, http.MethodGet, "jobs?type=command&state="+strings.Join(names, ","), nil)
	return page.Items, err
}

// jobPage is what a list of jobs comes in.
type jobPage struct {
	Items []Job `json:"Items"`
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, uuid string) (Job, error) {
	return send[Job](ctx, c, http.MethodGet, "jobs/"+url.PathEscape(uuid), nil)
}

// WaitForJob waits until a job is as wanted, or ctx. It fails as soon as the job
// has ended otherwise.
func (c *Client) WaitForJob(ctx context.Context, uuid string, wanted func(Job) bool) (Job, error) {
	return wait(ctx, func() (Job, bool, error) {
		job, err := c.Job(ctx, uuid)
		if err == nil && !wanted(job) && job.Ended() {
			err = fmt.Errorf("job %s is %s, which is not what was waited for", uuid, job.State)
		}
		return job, err == nil && wanted(job), err
	})
}

// JobLog returns a job's log as plain text.
func (c *Client) JobLog(ctx context.Context, uuid string) (string, error) {
	text, err := c.do(ctx, http.MethodGet, "/simulator/jobs/"+url.PathEscape(uuid)+"/log", nil)
	return string(text), err
}

// CancelJob cancels a job.
func (c *Client) CancelJob(ctx context.Context, uuid string) (Job, error) {
	return send[Job](ctx, c, http.MethodPost, "jobs/"+url.PathEscape(uuid)+"/cancel", nil)
}

// RetryJob runs a job that has ended again, as a person would.
func (c *Client) RetryJob(ctx context.Context, uuid string) (RetriedJob, error) {
	return send[RetriedJob](ctx, c, http.MethodPost, "jobs/"+url.PathEscape(uuid)+"/retry", nil)
}

// Record returns what happened to a job.
func (c *Client) Record(ctx context.Context, uuid string) (Record, error) {
	return send[Record](ctx, c, http.MethodGet, "jobs/"+url.PathEscape(uuid)+"/record", nil)
}

// Oracle returns what happened to all jobs.
func (c *Client) Oracle(ctx context.Context) (Report, error) {
	return send[Report](ctx, c, http.MethodGet, "oracle", nil)
}

// Verdict returns what the oracle finds wrong, and sums. It may be asked often.
func (c *Client) Verdict(ctx context.Context) (Verdict, error) {
	return send[Verdict](ctx, c, http.MethodGet, "oracle/verdict", nil)
}

// Artifacts returns the artifacts of a build whose path matches query; empty
// matches all.
func (c *Client) Artifacts(ctx context.Context, build, query string) ([]Artifact, error) {
	return send[[]Artifact](ctx, c, http.MethodGet, "builds/"+url.PathEscape(build)+"/artifacts?query="+url.QueryEscape(query), nil)
}

// DownloadArtifact returns the bytes of an artifact.
func (c *Client) DownloadArtifact(ctx context.Context, uuid string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/artifacts/"+url.PathEscape(uuid), nil)
}

// Annotations returns a build's annotations, the most important first.
func (c *Client) Annotations(ctx context.Context, build string) ([]Annotation, error) {
	return send[[]Annotation](ctx, c, http.MethodGet, "builds/"+url.PathEscape(build)+"/annotations", nil)
}

// MetaData returns a build's meta-data.
func (c *Client) MetaData(ctx context.Context, build string) (map[string]string, error) {
	return send[map[string]string](ctx, c, http.MethodGet, "builds/"+url.PathEscape(build)+"/meta-data", nil)
}

// Agents returns all agents that ever registered, oldest first.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	return send[[]Agent](ctx, c, http.MethodGet, "agents", nil)
}

// DirectAgent has an agent told by its pings to "idle", "pause" or "disconnect";
// "lose" has it lost at once.
func (c *Client) DirectAgent(ctx context.Context, uuid, action string) (Agent, error) {
	return send[Agent](ctx, c, http.MethodPost, "agents/"+url.PathEscape(uuid), control.AgentRequest{Action: action})
}

// Clusters returns all clusters.
func (c *Client) Clusters(ctx context.Context) ([]Cluster, error) {
	return send[[]Cluster](ctx, c, http.MethodGet, "clusters", nil)
}

// CreateCluster makes a cluster whose agents register with a token.
func (c *Client) CreateCluster(ctx context.Context, request ClusterRequest) (Cluster, error) {
	return send[Cluster](ctx, c, http.MethodPost, "clusters", request)
}

// SetQueuePaused pauses or resumes a queue. An empty cluster is the first.
func (c *Client) SetQueuePaused(ctx context.Context, cluster, key string, paused bool) (Queue, error) {
	return send[Queue](ctx, c, http.MethodPost, "queues", control.QueueRequest{Cluster: cluster, Key: key, Paused: paused})
}

func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var result T
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return result, fmt.Errorf("encode request: %w", err)
		}
	}
	answer, err := c.do(ctx, method, "/simulator/"+path, text)
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return result, fmt.Errorf("decode answer of %s %s: %w", method, path, err)
	}
	return result, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reach simulator: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read answer of %s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		var refused struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(answer, &refused) != nil || refused.Message == "" {
			refused.Message = string(answer)
		}
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, response.StatusCode, refused.Message)
	}
	return answer, nil
}

// wait asks until done, an error or the end of ctx.
func wait[T any](ctx context.Context, ask func() (T, bool, error)) (T, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		result, done, err := ask()
		if err != nil || done {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("wait: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

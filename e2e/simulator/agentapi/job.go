package agentapi

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/buildkite/agent/v3/api"
	"github.com/buildkite/go-pipeline"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// Sizes that a job is told, as Buildkite's are.
const (
	chunkBytes = 100 << 10
	logBytes   = 16 << 20
)

// jobRoutes are a job's life.
func (s *server) jobRoutes(handle addRoute) {
	handle("PUT jobs/{job}/acquire", s.acquire, state.AccessToken)
	handle("PUT jobs/{job}/accept", s.accept, state.AccessToken)
	handle("PUT jobs/{job}/start", s.start, state.JobToken)
	handle("PUT jobs/{job}/finish", s.finish, state.JobToken)
	handle("GET jobs/{job}", s.jobState, state.JobToken)
	handle("PUT jobs/{job}", s.updateJob, state.JobToken)
	handle("PUT jobs/{job}/promise_failure", s.promiseFailure, state.JobToken)
	handle("POST jobs/{job}/chunks", s.chunk, state.JobToken)
	handle("POST jobs/{job}/header_times", s.headerTimes, state.JobToken)
}

func (s *server) acquire(c *call) (any, error) {
	if c.Header.Get("X-Buildkite-Lock-Acquire-Job") != "1" {
		return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "acquire needs the header X-Buildkite-Lock-Acquire-Job: 1"}
	}
	return acquired(s.store.Acquire(c.identity.AgentUUID, c.PathValue("job")))
}

func (s *server) accept(c *call) (any, error) {
	return acquired(s.store.Accept(c.identity.AgentUUID, c.PathValue("job")))
}

func acquired(job state.Acquired, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return api.Job{
		ID: job.UUID, State: string(job.State), Env: job.Env, Token: job.Token, Priority: job.Priority,
		Step:               pipeline.CommandStep{Key: job.StepKey, Label: job.Label, Command: job.Command},
		ChunksMaxSizeBytes: chunkBytes, ChunksIntervalSeconds: 1, LogMaxSizeBytes: logBytes,
		RunnableAt: job.RunnableAt.Format(time.RFC3339Nano),
	}, nil
}

func (s *server) start(c *call) (any, error) {
	return nothing{}, s.store.Start(c.PathValue("job"))
}

func (s *server) finish(c *call) (any, error) {
	var request api.JobFinishRequest
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	return nothing{}, s.store.Finish(c.PathValue("job"), state.Finish{
		ExitStatus: request.ExitStatus, Signal: request.Signal, SignalReason: request.SignalReason,
		IgnoreAgent: request.IgnoreAgentInDispatches != nil && *request.IgnoreAgentInDispatches,
	})
}

func (s *server) jobState(c *call) (any, error) {
	job, _ := s.store.Job(c.PathValue("job"))
	return api.JobState{State: string(job.State)}, nil
}

func (s *server) updateJob(c *call) (any, error) {
	var request map[string]string
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	priority, err := strconv.Atoi(request["priority"])
	if err != nil || len(request) != 1 {
		return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "only priority, a whole number, can be updated"}
	}
	return api.JobUpdateResponse{ID: c.PathValue("job")}, s.store.SetPriority(c.PathValue("job"), priority)
}

func (s *server) promiseFailure(c *call) (any, error) {
	var request api.JobPromiseFailureRequest
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	return nothing{}, s.store.PromiseFailure(c.PathValue("job"), request.ExitStatus, request.Reason)
}

// headerTimes is what agents without timestamps in their log send; the page
// does not show times, so only the shape is checked.
func (s *server) headerTimes(c *call) (any, error) {
	var request api.HeaderTimes
	return nothing{}, c.decode(&request)
}

// chunk takes a piece of log. Offset and size count bytes before compression.
func (s *server) chunk(c *call) (any, error) {
	query := c.URL.Query()
	offset, offsetError := strconv.Atoi(query.Get("offset"))
	size, sizeError := strconv.Atoi(query.Get("size"))
	if offsetError != nil || sizeError != nil {
		return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "chunks need the numbers offset and size"}
	}
	body := io.Reader(c.Body)
	if c.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(c.Body)
		if err != nil {
			return nil, &state.Problem{Status: http.StatusBadRequest, Message: "the chunk is not gzip: " + err.Error()}
		}
		body = unzipped
	}
	data, err := io.ReadAll(io.LimitReader(body, chunkBytes+1))
	if err != nil {
		return nil, &state.Problem{Status: http.StatusBadRequest, Message: "read chunk: " + err.Error()}
	}
	if len(data) > chunkBytes || len(data) != size {
		return nil, &state.Problem{
			Status:  http.StatusUnprocessableEntity,
			Message: fmt.Sprintf("the chunk holds %d bytes, announced were %d, at most %d are allowed", len(data), size, chunkBytes),
		}
	}
	return nothing{}, s.store.AddLog(c.PathValue("job"), offset, data)
}

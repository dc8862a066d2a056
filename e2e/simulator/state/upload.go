package state

import (
	"slices"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// States of pipeline uploads.
const (
	UploadApplied  = "applied"
	UploadRejected = "rejected"
)

// maxUploads bounds the pipeline uploads of one job.
const maxUploads = 500

type upload struct {
	state, message string
}

// UploadPipeline adds steps to the build of a job, right after the job. The same
// id again changes nothing. A pipeline that cannot be used is kept as rejected,
// with the reason, because the agent asks for the outcome later.
func (s *Store) UploadPipeline(jobUUID, id string, text []byte, replace bool) error {
	parsed, readError := pipeline.Read(text, nil)

	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	switch {
	case !ok:
		return notFound("No job found")
	case id == "":
		return unprocessable("a pipeline upload needs a uuid")
	case !j.state.WithAgent():
		return unprocessable("job %s is %s: only a running job can upload steps", j.uuid, j.state)
	case j.uploads[id] != nil:
		return nil
	case len(j.uploads) >= maxUploads:
		return unprocessable("job %s has uploaded %d pipelines; more are refused", j.uuid, maxUploads)
	}
	if readError != nil {
		j.uploads[id] = &upload{state: UploadRejected, message: readError.Error()}
		return nil
	}
	jobs, err := s.makeJobs(j.build, parsed.Steps, parsed.Env)
	if err != nil {
		j.uploads[id] = &upload{state: UploadRejected, message: err.Error()}
		return nil
	}
	b := j.build
	at := slices.Index(b.jobs, j) + 1
	if replace {
		for _, later := range b.jobs[at:] {
			if later.state == Waiting || later.state == Scheduled {
				later.state = Skipped
				s.changed(later)
			}
		}
	}
	s.register(jobs)
	b.jobs = slices.Insert(b.jobs, at, jobs...)
	j.uploads[id] = &upload{state: UploadApplied}
	s.advance(b)
	return nil
}

// PipelineUpload returns the outcome of a pipeline upload: UploadApplied or
// UploadRejected, and why.
func (s *Store) PipelineUpload(jobUUID, id string) (state, message string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return "", "", notFound("No job found")
	}
	u, ok := j.uploads[id]
	if !ok {
		return "", "", notFound("no such pipeline upload")
	}
	return u.state, u.message, nil
}

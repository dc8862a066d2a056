package state

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// stepJobs finds the jobs of a step by the step's UUID or key.
func (b *build) stepJobs(idOrKey string) []*job {
	var result []*job
	for _, j := range b.jobs {
		if !j.retried() && (j.step.uuid == idOrKey || (idOrKey != "" && j.step.Key == idOrKey)) {
			result = append(result, j)
		}
	}
	return result
}

func (s *Store) findStep(buildUUID, idOrKey string) ([]*job, error) {
	b, err := s.scoped(buildUUID)
	if err != nil {
		return nil, err
	}
	jobs := b.stepJobs(idOrKey)
	if len(jobs) == 0 {
		return nil, notFound("build %d has no step %q", b.number, idOrKey)
	}
	return jobs, nil
}

// StepAttribute returns an attribute of a step as text, or all of them as JSON
// when name is empty.
func (s *Store) StepAttribute(buildUUID, idOrKey, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs, err := s.findStep(buildUUID, idOrKey)
	if err != nil {
		return "", err
	}
	attributes := stepAttributes(jobs)
	if name == "" {
		text, err := json.Marshal(attributes)
		return string(text), err
	}
	value, ok := attributes[name]
	if !ok {
		return "", notFound("step %q has no attribute %q; it has %v", idOrKey, name, sortedKeys(attributes))
	}
	return value, nil
}

func stepAttributes(jobs []*job) map[string]string {
	shared := jobs[0].step
	result := map[string]string{
		"id": shared.uuid, "key": shared.Key, "label": shared.Label, "command": shared.Command,
		"type": jobs[0].kind(), "state": "ready", "outcome": "neutral",
		"priority": strconv.Itoa(jobs[0].priority),
	}
	if jobs[0].parallelTotal > 0 {
		result["parallelism"] = strconv.Itoa(jobs[0].parallelTotal)
	}
	ended := !slices.ContainsFunc(jobs, func(j *job) bool { return !j.state.Ended() })
	switch {
	case ended:
		result["state"] = "finished"
		result["outcome"] = outcome(jobs)
	case slices.ContainsFunc(jobs, func(j *job) bool { return j.state.WithAgent() }):
		result["state"] = "running"
	}
	maps.Copy(result, shared.attributes)
	return result
}

// outcome is passed, soft_failed or hard_failed.
func outcome(jobs []*job) string {
	result := "passed"
	for _, j := range jobs {
		switch {
		case !j.ok():
			return "hard_failed"
		case j.softFailed():
			result = "soft_failed"
		}
	}
	return result
}

// UpdateStep sets or extends an attribute of a step. Of the attributes that
// Buildkite lets a job change these have an effect here: label, and priority for
// jobs that are not taken yet.
func (s *Store) UpdateStep(buildUUID, idOrKey, name, value string, extend bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs, err := s.findStep(buildUUID, idOrKey)
	if err != nil {
		return err
	}
	shared := jobs[0].step
	switch name {
	case "label":
		if extend {
			value = shared.Label + value
		}
		shared.Label = value
	case "priority":
		number, err := strconv.Atoi(value)
		if err != nil {
			return unprocessable("priority %q is not a whole number", value)
		}
		for _, j := range jobs {
			j.priority = number
			s.changed(j)
		}
	case "notify":
		shared.attributes[name] = value
	default:
		return unprocessable("attribute %q cannot be changed; label, priority and notify can", name)
	}
	return nil
}

// CancelStep cancels the jobs of a step that have not ended.
func (s *Store) CancelStep(buildUUID, idOrKey string) (stepUUID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs, err := s.findStep(buildUUID, idOrKey)
	if err != nil {
		return "", err
	}
	for _, j := range jobs {
		if !j.state.Ended() {
			s.cancel(j, "step cancel")
		}
	}
	s.advance(jobs[0].build)
	return jobs[0].step.uuid, nil
}

// SetPriority changes the priority of one job.
func (s *Store) SetPriority(jobUUID string, priority int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return notFound("No job found")
	}
	j.priority = priority
	s.changed(j)
	return nil
}

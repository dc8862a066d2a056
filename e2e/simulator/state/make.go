package state

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

const queueRule = "queue="

// makeJobs turns steps into jobs of b, none of them registered yet. uploaded is
// the environment that a pipeline upload brings along.
func (s *Store) makeJobs(b *build, steps []pipeline.Step, uploaded map[string]string) ([]*job, error) {
	if err := b.checkKeys(steps); err != nil {
		return nil, err
	}
	var jobs []*job
	for _, definition := range steps {
		shared := &step{Step: definition, uuid: newUUID(), attributes: map[string]string{}}
		for index := range max(definition.Parallelism, 1) {
			if len(jobs) >= maxJobsPerUpload || len(s.jobs)+len(jobs) >= maxJobs {
				return nil, unprocessable("too many jobs: %d at once and %d in all are the simulator's limit", maxJobsPerUpload, maxJobs)
			}
			jobs = append(jobs, s.makeJob(b, shared, index, uploaded))
		}
	}
	return jobs, nil
}

func (s *Store) makeJob(b *build, shared *step, index int, uploaded map[string]string) *job {
	j := s.newJob(b, shared)
	if shared.Priority != nil {
		j.priority = *shared.Priority
	}
	if shared.Parallelism > 0 {
		j.parallelIndex, j.parallelTotal = index, shared.Parallelism
	}
	if shared.Kind != pipeline.KindCommand {
		return j
	}
	if shared.Skip {
		j.state, j.finishedAt = Skipped, j.createdAt
	}
	j.rules = slices.Clone(shared.Rules)
	key := s.defaultQueue(b.cluster)
	at := slices.IndexFunc(j.rules, func(rule string) bool { return strings.HasPrefix(rule, queueRule) })
	if at >= 0 {
		key = strings.TrimPrefix(j.rules[at], queueRule)
	} else {
		j.rules = append([]string{queueRule + key}, j.rules...)
	}
	if b.cluster != nil {
		j.queue = b.cluster.queue(key)
	}
	j.authorsEnv = merge(b.env, uploaded, shared.Env)
	j.env = s.jobEnvironment(j, j.authorsEnv)
	return j
}

func (s *Store) newJob(b *build, shared *step) *job {
	return &job{uuid: newUUID(), build: b, step: shared, state: Waiting, createdAt: time.Now(), uploads: map[string]*upload{}}
}

// checkKeys refuses a key that the build has already, and a dependency on a key
// that nobody has: such a job would wait for ever.
func (b *build) checkKeys(steps []pipeline.Step) error {
	known := map[string]bool{}
	for _, j := range b.jobs {
		known[j.step.Key], known[j.step.GroupKey] = true, true
	}
	for _, definition := range steps {
		if definition.Key != "" && known[definition.Key] {
			return unprocessable("the key %q is used already in this build; keys are unique in a build", definition.Key)
		}
	}
	for _, definition := range steps {
		known[definition.Key], known[definition.GroupKey] = true, true
	}
	for _, definition := range steps {
		for _, dependency := range definition.DependsOn {
			if dependency.Step == "" || !known[dependency.Step] {
				return unprocessable("step %q depends on %q, and the build has no step or group with that key",
					orDefault(definition.Key, definition.Label), dependency.Step)
			}
		}
	}
	return nil
}

// register makes jobs findable.
func (s *Store) register(jobs []*job) {
	for _, j := range jobs {
		s.sequence++
		j.sequence = s.sequence
		s.jobs = append(s.jobs, j)
		s.open = append(s.open, j)
		s.jobByUUID[j.uuid] = j
		s.changed(j)
		s.oracle.note(j.uuid, Event{Kind: EventCreated, Accepted: true})
	}
}

// merge copies maps into a new one; the last wins.
func merge(all ...map[string]string) map[string]string {
	result := map[string]string{}
	for _, values := range all {
		maps.Copy(result, values)
	}
	return result
}

package jobpod

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Job is a scheduled Buildkite command job, as much of it as the dispatcher
// needs. It is a value: two jobs with the same UUID are the same job.
type Job struct {
	// UUID names the job, in lower-case hexadecimal with dashes. A retried job
	// has a new one.
	UUID string
	// URL is the job's page.
	URL string
	// Env holds the job's environment as "KEY=value". It may hold secrets:
	// never log it.
	Env []string
	// Rules are the job's agent query rules, such as "queue=linux": what an
	// agent must be tagged with to run it.
	Rules []string
	// Priority orders jobs: higher runs first. Buildkite's default is 0.
	Priority int
	// ScheduledAt is when the job became ready to run.
	ScheduledAt time.Time
	// Attempt is which of the job's pods is to be made, from 1; 0 counts as 1.
	Attempt int
}

// Lookup returns the value of the job's environment variable with this name,
// or "". Of a name that occurs twice the last value counts, as it does for the
// agent.
func (j Job) Lookup(name string) string {
	for _, entry := range slices.Backward(j.Env) {
		if key, value, found := strings.Cut(entry, "="); found && key == name {
			return value
		}
	}
	return ""
}

// CompareJobs puts the higher priority first, then the older job. The UUID
// makes the order total, so that two runs over the same jobs agree.
func CompareJobs(a, b Job) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		a.ScheduledAt.Compare(b.ScheduledAt),
		cmp.Compare(a.UUID, b.UUID),
	)
}

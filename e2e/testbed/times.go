package testbed

import (
	"slices"
	"time"
)

// Times are waits, shortest first.
type Times []time.Duration

// Times returns how long the jobs waited from being scheduled until their first
// pod was seen on a watch; jobs that have had none are left out.
func (t *Testbed) Times(jobs []Job) Times {
	var times Times
	for _, job := range jobs {
		if seen := t.Agents.Seen(job.UUID); !seen.IsZero() {
			times = append(times, seen.Sub(job.Scheduled))
		}
	}
	slices.Sort(times)
	return times
}

// Quantile is the nearest rank's; zero of none.
func (t Times) Quantile(part float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(int(part*float64(len(t))), len(t)-1)]
}

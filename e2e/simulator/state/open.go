package state

import (
	"slices"
	"time"
)

// Most jobs of a long run have ended, and what asks again and again, polls, pings
// and the clock, cares for the others. So the store keeps the others apart.

// compactAbove is the share of ended jobs, in percent, at which the list of open
// jobs is made anew.
const compactAbove = 50

// openJobs returns all jobs that have not ended, oldest first, and some that
// have. It must not be changed.
func (s *Store) openJobs() []*job {
	if s.revived {
		s.revived = false
		s.open = slices.Clone(s.jobs)
	}
	ended := 0
	for _, j := range s.open {
		if j.state.Ended() {
			ended++
		}
	}
	if ended*100 > len(s.open)*compactAbove {
		// A new list: somebody may still walk the old one.
		open := make([]*job, 0, len(s.open)-ended)
		for _, j := range s.open {
			if !j.state.Ended() {
				open = append(open, j)
			}
		}
		s.open = open
	}
	return s.open
}

// candidates returns the jobs that filter may pick, oldest first: without the
// ended ones if it wants none of those, and none created before its time.
func (s *Store) candidates(filter *Filter) []*job {
	jobs := s.jobs
	if len(filter.States) > 0 && !slices.ContainsFunc(filter.States, State.Ended) {
		jobs = s.openJobs()
	}
	if !filter.CreatedFrom.IsZero() {
		at, _ := slices.BinarySearchFunc(jobs, filter.CreatedFrom, func(j *job, from time.Time) int { return j.createdAt.Compare(from) })
		jobs = jobs[at:]
	}
	return jobs
}

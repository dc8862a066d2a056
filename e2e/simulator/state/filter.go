package state

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Filter picks jobs. Zero fields pick all.
type Filter struct {
	States []State
	Types  []string
	// Rules picks jobs that have any of them.
	Rules []string
	// ClusterUUID and QueueUUIDs pick by membership.
	ClusterUUID string
	QueueUUIDs  []string
	// OutsideClusters leaves out jobs of a cluster's queue.
	OutsideClusters        bool
	CreatedFrom, CreatedTo time.Time
	// FinishedOn picks jobs that ended on that day, UTC.
	FinishedOn time.Time
	Passed     *bool
	Priorities []int
	StepKeys   []string
	BuildUUID  string
	// None picks nothing: the caller asked for what the simulator never has.
	None bool
	// ByAssignment orders by when an agent got the job, latest first, instead of
	// by creation.
	ByAssignment bool
}

func (f *Filter) picks(j *job) bool {
	return !f.None &&
		among(f.States, j.state) && among(f.Types, j.kind()) && among(f.Priorities, j.priority) && among(f.StepKeys, j.step.Key) &&
		(len(f.Rules) == 0 || slices.ContainsFunc(f.Rules, func(rule string) bool { return slices.Contains(j.rules, rule) })) &&
		f.picksPlace(j) && f.picksTime(j) &&
		(f.Passed == nil || (j.kind() == TypeCommand && j.state.Ended() && j.passed() == *f.Passed))
}

func (f *Filter) picksPlace(j *job) bool {
	if f.BuildUUID != "" && j.build.uuid != f.BuildUUID {
		return false
	}
	in := j.build.cluster
	switch {
	case f.OutsideClusters && in != nil, f.ClusterUUID != "" && (in == nil || in.uuid != f.ClusterUUID):
		return false
	case len(f.QueueUUIDs) > 0:
		return j.queue != nil && slices.Contains(f.QueueUUIDs, j.queue.uuid)
	default:
		return true
	}
}

func (f *Filter) picksTime(j *job) bool {
	return (f.CreatedFrom.IsZero() || !j.createdAt.Before(f.CreatedFrom)) &&
		(f.CreatedTo.IsZero() || !j.createdAt.After(f.CreatedTo)) &&
		(f.FinishedOn.IsZero() || j.finishedAt.UTC().Format(time.DateOnly) == f.FinishedOn.UTC().Format(time.DateOnly))
}

func among[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// ListJobs returns a page of the jobs that filter picks, newest first.
func (s *Store) ListJobs(filter Filter, page Page) (Paged[Job], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	picked := s.pick(&filter)
	key := func(j *job) string { return fmt.Sprintf("%019d", math.MaxInt64-j.sequence) }
	if filter.ByAssignment {
		key = func(j *job) string {
			return fmt.Sprintf("%019d.%019d", math.MaxInt64-j.assignment, math.MaxInt64-j.sequence)
		}
		slices.SortStableFunc(picked, func(a, b *job) int { return cmp.Compare(b.assignment, a.assignment) })
	}
	paged, err := Paginate(picked, key, page)
	if err != nil {
		return Paged[Job]{}, err
	}
	result := Paged[Job]{Cursors: paged.Cursors, Count: paged.Count, HasNext: paged.HasNext, HasPrev: paged.HasPrev}
	result.Items = make([]Job, 0, len(paged.Items))
	for _, j := range paged.Items {
		result.Items = append(result.Items, j.snapshot())
	}
	return result, nil
}

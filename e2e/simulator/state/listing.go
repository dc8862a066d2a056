package state

import (
	"cmp"
	"fmt"
	"slices"
)

// Many clients ask for the same list again and again, and in pages, while few
// jobs change between two requests. So the answers to the latest filters are kept
// and brought up to date job by job; a page then costs what it holds.

const (
	// maxListings is how many filters are kept.
	maxListings = 32
	// maxChanges is how many changes are kept; a list that has missed more is made
	// anew.
	maxChanges = 10_000
)

// listing is the jobs that a filter picks, newest first.
type listing struct {
	filter Filter
	picked []*job
	seen   int // of the changes, all that ever were
	used   int // by which the least used is dropped
}

// listings are those kept, by filter.
type listings struct {
	kept    map[string]*listing
	changes []*job // the latest
	total   int    // of all changes
	clock   int
}

// changed is to be called after every change of what a filter looks at: a job's
// state, end or priority, and when it is new.
func (s *Store) changed(j *job) {
	l := &s.listings
	if len(l.kept) == 0 {
		return // nobody has listed anything
	}
	l.total++
	l.changes = append(l.changes, j)
	if len(l.changes) > 2*maxChanges {
		l.changes = slices.Clone(l.changes[len(l.changes)-maxChanges:])
	}
}

// pick returns the jobs that filter picks, newest first. It must not be changed.
func (s *Store) pick(filter *Filter) []*job {
	if filter.ByAssignment || !filter.CreatedFrom.IsZero() || !filter.CreatedTo.IsZero() {
		return s.scan(filter)
	}
	l := &s.listings
	if l.kept == nil {
		l.kept = map[string]*listing{}
	}
	l.clock++
	key := filter.key()
	kept := l.kept[key]
	if kept == nil {
		l.dropOldest()
		kept = &listing{filter: *filter, seen: -1}
		l.kept[key] = kept
	}
	kept.used = l.clock
	missed := l.total - kept.seen
	if kept.seen < 0 || missed > len(l.changes) || missed > len(kept.picked)/8+64 {
		kept.picked = s.scan(filter)
	} else {
		for _, j := range l.changes[len(l.changes)-missed:] {
			kept.update(j)
		}
	}
	kept.seen = l.total
	return kept.picked
}

func (l *listings) dropOldest() {
	for len(l.kept) >= maxListings {
		oldest, at := "", 0
		for key, kept := range l.kept {
			if oldest == "" || kept.used < at {
				oldest, at = key, kept.used
			}
		}
		delete(l.kept, oldest)
	}
}

// update puts a job that has changed in or out.
func (l *listing) update(j *job) {
	at, found := slices.BinarySearchFunc(l.picked, j.sequence, func(other *job, sequence int) int { return cmp.Compare(sequence, other.sequence) })
	switch wanted := l.filter.picks(j); {
	case wanted && !found:
		l.picked = slices.Insert(l.picked, at, j)
	case found && !wanted:
		l.picked = slices.Delete(l.picked, at, at+1)
	}
}

// scan looks at all jobs.
func (s *Store) scan(filter *Filter) []*job {
	var picked []*job
	for _, j := range slices.Backward(s.candidates(filter)) {
		if filter.picks(j) {
			picked = append(picked, j)
		}
	}
	return picked
}

// key is the same for filters that pick the same.
func (f *Filter) key() string {
	plain := *f
	plain.Passed = nil
	passed := "any"
	if f.Passed != nil {
		passed = fmt.Sprint(*f.Passed)
	}
	return fmt.Sprintf("%q %s", fmt.Sprintf("%#v", plain), passed)
}

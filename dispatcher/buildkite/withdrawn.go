package buildkite

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// fewStates is how many jobs are asked for one by one: a count costs two points,
// and says of all at once whether any of them has ended.
const fewStates = 5

// withdrawnStates are those of dispatcher.JobState.Withdrawn.
var withdrawnStates = []JobStates{JobStatesCanceled, JobStatesExpired, JobStatesSkipped, JobStatesBroken, JobStatesTimedOut}

// withdrawnJobsSeen are jobs that ended without an agent, as far as listed.
type withdrawnJobsSeen struct {
	mu   sync.Mutex
	jobs map[string]withdrawnAt
	// counted is the count when there were last so many that asking for each job
	// was cheaper than listing them, from the time of creation countedFrom on.
	counted     int
	countedFrom time.Time
}

type withdrawnAt struct {
	state   dispatcher.JobState
	created time.Time
}

// States returns the states of a few jobs. Of many it tells only which were
// withdrawn (dispatcher.JobState.Withdrawn), by counting those since the oldest
// of them was created and listing them when their number has changed. Jobs that
// Buildkite does not know are left out.
func (c *Client) States(ctx context.Context, uuids []string) (map[string]dispatcher.JobState, error) {
	if err := c.budget.wait(ctx); err != nil {
		return nil, err
	}
	all := c.everything.Load()
	if len(uuids) <= fewStates || all == nil {
		return c.statesOf(ctx, uuids)
	}
	var oldest time.Time
	var unborn []string
	for _, uuid := range uuids {
		created, isKnown := c.births.of(uuid)
		switch {
		case !isKnown:
			unborn = append(unborn, uuid)
		case oldest.IsZero() || created.Before(oldest):
			oldest = created
		}
	}
	if len(uuids)-len(unborn) <= fewStates {
		return c.statesOf(ctx, uuids)
	}
	// Buildkite may cut times to the second.
	states, err := c.withdrawnOf(ctx, *all, oldest.Truncate(time.Second), uuids)
	if err != nil || len(unborn) == 0 {
		return states, err
	}
	others, err := c.statesOf(ctx, unborn)
	maps.Copy(states, others)
	return states, err
}

// withdrawnOf returns those of the jobs, created at a time or later, that were
// withdrawn.
func (c *Client) withdrawnOf(ctx context.Context, all scope, from time.Time, uuids []string) (map[string]dispatcher.JobState, error) {
	seen := &c.withdrawn
	seen.mu.Lock()
	defer seen.mu.Unlock()
	count, err := c.countOf(ctx, all, withdrawnStates, from)
	if err != nil {
		return nil, err
	}
	listed := seen.since(from)
	switch {
	case count == listed:
	case pageCost+count <= 2*len(uuids):
		err = c.listWithdrawn(ctx, all, from)
	case count == seen.counted && from.Equal(seen.countedFrom):
	default:
		states, err := c.statesOf(ctx, uuids)
		if err == nil {
			seen.counted, seen.countedFrom = count, from
		}
		return states, err
	}
	states := map[string]dispatcher.JobState{}
	for _, uuid := range uuids {
		if job, isWithdrawn := seen.jobs[uuid]; isWithdrawn {
			states[uuid] = job.state
		}
	}
	return states, err
}

// since forgets jobs created before a time, and counts the others.
func (s *withdrawnJobsSeen) since(from time.Time) int {
	for uuid, job := range s.jobs {
		if job.created.Before(from) {
			delete(s.jobs, uuid)
		}
	}
	return len(s.jobs)
}

// listWithdrawn reads all jobs that were withdrawn of those created since.
func (c *Client) listWithdrawn(ctx context.Context, all scope, from time.Time) error {
	found := map[string]withdrawnAt{}
	var before *string
	var partial error
	for range maxPages {
		page, err := c.withdrawnPage(ctx, all, from, before)
		if page == nil {
			return err
		}
		partial = errors.Join(partial, err)
		cursor, more := "", false
		for _, edge := range page.Edges {
			if edge == nil {
				continue
			}
			if cursor == "" {
				cursor = edge.Cursor
			}
			if job, isCommand := edge.Node.(*withdrawnJobJobTypeCommand); isCommand && job.Uuid != "" {
				_, isTwice := found[job.Uuid]
				more = more || !isTwice
				found[job.Uuid] = withdrawnAt{state: dispatcher.JobState(job.State), created: job.CreatedAt}
			}
		}
		if len(found) >= page.Count || cursor == "" || !more {
			break
		}
		before = &cursor
	}
	c.withdrawn.jobs = found
	return partial
}

func (c *Client) withdrawnPage(ctx context.Context, s scope, from time.Time, before *string) (*withdrawnPage, error) {
	var answer *withdrawnJobsResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		size := c.pages.current(time.Now())
		answer, err = withdrawnJobs(ctx, c.graphql, c.settings.Organization, withdrawnStates, s.rules, s.cluster, s.queues, s.clustered, from, size, before)
		return err
	})
	if answer == nil || answer.Organization == nil {
		if err == nil {
			err = c.unknownOrganization()
		}
		return nil, err
	}
	return answer.Organization.Jobs, err
}

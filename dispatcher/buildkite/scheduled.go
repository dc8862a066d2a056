package buildkite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// crowded is how many jobs make it worth looking at each queue by itself: the
	// jobs of one must not keep those of another from being listed.
	crowded = 100
	// sayRest is a rest after which it is said that points set the pace.
	sayRest = 10 * time.Second
)

// pollState is what was polled last.
type pollState struct {
	scopes []scope
	// joint looks at all queues in one query. While it finds many jobs in several
	// queues, each has a poller of its own.
	joint *poller
	each  []*poller
}

// Scheduled lists jobs as dispatcher.Source describes. It does not ask Buildkite
// each time: points decide.
func (c *Client) Scheduled(ctx context.Context, known func(uuid string) bool) ([]jobpod.Job, error) {
	c.polling.Lock()
	defer c.polling.Unlock()
	began := time.Now()
	if blocked := c.budget.blocked(time.Now()); blocked > maxBudgetWait {
		c.sayBinding(time.Now())
		return nil, c.budget.problem(blocked)
	}
	if c.budget.pause(time.Now()) > 0 {
		c.sayBinding(time.Now())
		return c.stillWaiting(known), nil
	}
	scopes, err := c.scopes(ctx, pauseInterval)
	if len(scopes) == 0 {
		c.poll = pollState{}
		return nil, err
	}
	if !sameScopes(scopes, c.poll.scopes) {
		// Jobs of a queue that was paused must not be handed out any more.
		c.poll = pollState{scopes: scopes, joint: newPoller(c, joined(scopes), 1)}
	}
	errs := []error{err}
	var jobs []jobpod.Job
	for _, poller := range c.pollers() {
		errs = append(errs, poller.poll(ctx, known))
		jobs = append(jobs, poller.waiting(known)...)
		if time.Until(poller.rest) > sayRest {
			c.sayBinding(time.Now())
		}
	}
	c.regroup()
	if len(jobs) > 0 {
		isOpen, err := c.isStillOpen(ctx, began)
		if !isOpen {
			jobs = nil
		}
		errs = append(errs, err)
	}
	return jobs, errors.Join(errs...)
}

// HasMore implements dispatcher.Backlog.
func (c *Client) HasMore() bool {
	c.polling.Lock()
	defer c.polling.Unlock()
	return slices.ContainsFunc(c.pollers(), func(p *poller) bool { return p.isListed && !p.isComplete })
}

// isStillOpen reports whether the queues that were listed hand out jobs in this poll,
// which began at a time: between polls a queue's state is not asked for each time,
// and it may have been paused since. The error is Buildkite's if it does not say it.
func (c *Client) isStillOpen(ctx context.Context, began time.Time) (bool, error) {
	scopes, err := c.scopes(ctx, time.Since(began)+time.Nanosecond)
	isUnknown := kindOf(err) == kindUnknownQueue
	switch {
	case err != nil && !isUnknown:
		return false, err
	case sameScopes(scopes, c.poll.scopes):
		return true, nil
	}
	// Queues that are missing are told of by the next poll.
	c.poll = pollState{}
	return false, nil
}

// stillWaiting returns what is known without asking. Whether a queue is paused
// must have been asked.
func (c *Client) stillWaiting(known func(string) bool) []jobpod.Job {
	if c.settings.ClusterUUID != "" && time.Since(c.queues.checked) >= pauseInterval {
		return nil
	}
	var jobs []jobpod.Job
	for _, poller := range c.pollers() {
		poller.mirror.observe(known, time.Now())
		jobs = append(jobs, poller.waiting(known)...)
	}
	return jobs
}

func (c *Client) pollers() []*poller {
	switch {
	case len(c.poll.each) > 0:
		return c.poll.each
	case c.poll.joint != nil:
		return []*poller{c.poll.joint}
	default:
		return nil
	}
}

// regroup gives each queue a poller of its own once jobs are many, and takes it
// away again when they are few.
func (c *Client) regroup() {
	total := 0
	for _, poller := range c.pollers() {
		total += poller.total
	}
	switch isSplit := len(c.poll.each) > 0; {
	case !isSplit && len(c.poll.scopes) > 1 && total > crowded:
		for _, scope := range c.poll.scopes {
			c.poll.each = append(c.poll.each, newPoller(c, scope, 1/float64(len(c.poll.scopes))))
		}
	case isSplit && total < crowded/2:
		c.poll.each = nil
		c.poll.joint = newPoller(c, joined(c.poll.scopes), 1)
	}
}

// count counts the scheduled jobs of a scope.
func (c *Client) count(ctx context.Context, scope scope) (int, error) {
	return c.countOf(ctx, scope, []JobStates{JobStatesScheduled}, time.Time{})
}

func (c *Client) countOf(ctx context.Context, s scope, states []JobStates, from time.Time) (int, error) {
	var createdAtFrom *time.Time
	if !from.IsZero() {
		createdAtFrom = &from
	}
	var answer *countJobsResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		answer, err = countJobs(ctx, c.graphql, c.settings.Organization, states, s.rules, s.cluster, s.queues, s.clustered, createdAtFrom)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case answer.Organization == nil:
		return 0, c.unknownOrganization()
	case answer.Organization.Jobs == nil:
		return 0, &dispatcher.Problem{Kind: "no-listing", Advice: "Buildkite answered without a list of jobs"}
	default:
		return answer.Organization.Jobs.Count, nil
	}
}

// found remembers when jobs were created, and counts those that are new.
func (c *Client) found(jobs []listedJob) {
	added := 0
	for _, job := range jobs {
		if c.births.add(job.job.UUID, job.created) {
			added++
		}
	}
	c.budget.found(added)
}

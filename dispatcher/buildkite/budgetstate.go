package buildkite

import (
	"log/slog"
	"math"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

const (
	// fewestPointsPerJob is what a job costs at the least: to be listed once.
	fewestPointsPerJob = 2
	// bindingQuiet is how long the budget must not have bound before it is said
	// again that it does.
	bindingQuiet = 10 * time.Minute
)

// Use is what the budget is used for, for people.
type Use struct {
	// PointsPerJob are the points used in the last five minutes for each job that
	// was listed for the first time; 0 if there was none.
	PointsPerJob float64
	// JobsPerSecond is how many jobs the points that this program may use at
	// present are enough for.
	JobsPerSecond float64
	// Granted is how many points per second this program may use; 0 while
	// Buildkite has told of no limit.
	Granted float64
	// Exhausted is how long the points last at the present rate, for all who use
	// the token; 0 if they last until the window ends.
	Exhausted time.Duration
	// OrganizationLeft and OrganizationLimit are the organization's points.
	OrganizationLeft, OrganizationLimit int
}

var _ dispatcher.BudgetReader = (*Client)(nil)

// Budget returns what is left of the points of the token's user.
func (c *Client) Budget() dispatcher.BudgetState {
	return c.budget.state(time.Now())
}

// Use returns what the points are used for.
func (c *Client) Use() Use {
	return c.budget.use(time.Now())
}

func (b *budget) state(now time.Time) dispatcher.BudgetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	user := &b.counters[0]
	if user.limit == 0 {
		user = &b.counters[1]
	}
	state := dispatcher.BudgetState{Left: user.remaining, Limit: user.limit, Reset: user.resets, Used: b.used, PerSecond: b.perSecond(now)}
	if user.limit > 0 && !now.Before(user.resets) {
		state.Left, state.Reset = user.limit, time.Time{}
	}
	return state
}

func (b *budget) perSecond(now time.Time) float64 {
	spent, during := b.spent.sum(now)
	return spent / max(during.Seconds(), 1)
}

func (b *budget) use(now time.Time) Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	organization := &b.counters[1]
	result := Use{OrganizationLeft: organization.remaining, OrganizationLimit: organization.limit}
	spent, _ := b.spent.sum(now)
	if jobs, _ := b.jobs.sum(now); jobs > 0 {
		result.PointsPerJob = spent / jobs
	}
	if !b.limited {
		return result
	}
	result.Granted = float64(b.limiter.Limit())
	result.JobsPerSecond = result.Granted / max(result.PointsPerJob, fewestPointsPerJob)
	for i := range b.counters {
		c := &b.counters[i]
		if c.limit == 0 || c.perSecond == 0 {
			continue
		}
		lasts := time.Duration(math.Min(c.usable(now)/c.perSecond, budgetWindow.Seconds()) * float64(time.Second))
		if now.Add(lasts).Before(c.resets) && (result.Exhausted == 0 || lasts < result.Exhausted) {
			result.Exhausted = lasts
		}
	}
	return result
}

// found counts jobs that were listed for the first time.
func (b *budget) found(jobs int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs.add(time.Now(), float64(jobs))
}

// binding notes that a poll was put off for want of points, and reports whether
// to say so.
func (b *budget) binding(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	isNew := b.bound.IsZero() || now.Sub(b.bound) > bindingQuiet
	b.bound = now
	return isNew
}

// sayBinding logs, once, that points and not the cluster set the pace.
func (c *Client) sayBinding(now time.Time) {
	if !c.budget.binding(now) {
		return
	}
	use, state := c.budget.use(now), c.budget.state(now)
	c.log.Warn("Buildkite's points set the pace: jobs are looked for less often",
		slog.Float64("sustainable_jobs_per_second", round(use.JobsPerSecond)),
		slog.Float64("points_per_job", round(use.PointsPerJob)),
		slog.Float64("points_per_second", round(use.Granted)),
		slog.Int("points_left", state.Left),
		slog.Int("points_limit", state.Limit),
		slog.String("advice", "give the dispatcher a token of a user of its own, or run fewer dispatchers per token"))
}

func round(value float64) float64 {
	return math.Round(value*100) / 100
}

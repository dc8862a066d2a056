package buildkite

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// mostPerPage and leastPerPage bound how many jobs one request lists.
	mostPerPage  = 100
	leastPerPage = 5
	// pageCost is what a page costs, jobCost each job in it; see
	// operations.graphql.
	pageCost = 3
	jobCost  = 2
	// maxPages bounds one listing, in case its end is never told.
	maxPages = 200
	// growInterval is how long pages stay small after one that was too large.
	growInterval = 10 * time.Minute
)

// pageSize is how many jobs Buildkite lets one request list.
type pageSize struct {
	mu     sync.Mutex
	most   int
	shrunk time.Time
}

func (p *pageSize) current(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == 0 || now.Sub(p.shrunk) > growInterval {
		p.most = mostPerPage
	}
	return p.most
}

// shrink halves the size below one that was too large. It reports whether there
// is anything to gain.
func (p *pageSize) shrink(size int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shrunk = now
	p.most = max(size/2, leastPerPage)
	return size > leastPerPage
}

// selection is what to list.
type selection struct {
	scope scope
	// from is the time of creation to begin at; zero is from the oldest job.
	from time.Time
	// priorities are the only ones to list, if any are given.
	priorities []int
	// before is where an earlier listing left off; nil is at the oldest job.
	before *string
	// known says which jobs are taken: of those nothing but the UUID is kept, for
	// there may be thousands.
	known func(string) bool
}

// listing is what was listed.
type listing struct {
	jobs []listedJob
	// total is how many jobs fit the selection.
	total int
	// isComplete is true if all of them are in jobs, hasGaps if some are missing
	// that the pages should have had.
	isComplete, hasGaps bool
	// cursor is where to go on if it is not complete; nil is where it began.
	cursor *string
	// newest is the newest listed job's cursor; nil if none was listed.
	newest *string
}

// list reads pages, the oldest jobs first, until there are enough jobs or no
// more points for another page. A listing and an error may come together.
func (c *Client) list(ctx context.Context, what selection, isEnough func(jobs []listedJob) bool) (listing, error) {
	var partial error
	before, result := what.before, listing{cursor: what.before}
	seen, missing := map[string]bool{}, 0
	for range maxPages {
		page, size, err := c.page(ctx, what, before)
		if page == nil {
			return result, err
		}
		if err != nil {
			partial = err
		}
		jobs, nulls := c.jobsOf(page)
		for _, job := range jobs {
			if !seen[job.job.UUID] {
				seen[job.job.UUID] = true
				if what.known(job.job.UUID) {
					job.take(job.listed)
				}
				result.jobs = append(result.jobs, job)
			}
		}
		missing += nulls
		isLast := len(seen)+missing >= page.Count || len(page.Edges) == 0
		if what.before != nil {
			// The count is of those before as well.
			isLast = len(page.Edges) < size
		} else if len(page.Edges) == 0 && page.Count > len(seen) {
			missing++
		}
		result.hasGaps = missing > 0 || partial != nil
		result.total = page.Count
		cursor := firstCursor(page)
		if cursor != "" {
			result.newest = &cursor
		}
		switch {
		case isLast:
			result.isComplete = !result.hasGaps
			return result, partial
		case before != nil && *before == cursor:
			return result, &dispatcher.Problem{Kind: "stuck-page", Advice: "Buildkite's job listing repeats itself; using what it has listed so far"}
		case cursor == "":
			return result, partial
		}
		before, result.cursor = &cursor, &cursor
		if isEnough(result.jobs) || !c.canAffordPage() {
			return result, partial
		}
	}
	return result, partial
}

// canAffordPage reports whether there are points for another page that is worth
// its price.
func (c *Client) canAffordPage() bool {
	points, limited := c.budget.affordable(time.Now())
	return !limited || points >= pageCost+jobCost*leastPerPage
}

// page reads one page, a smaller one if it turns out to be too large. An answer
// may hold a page and an error.
func (c *Client) page(ctx context.Context, what selection, before *string) (page *jobPage, size int, err error) {
	for {
		size = c.pages.current(time.Now())
		if points, limited := c.budget.affordable(time.Now()); limited {
			size = min(size, max(int(points-pageCost)/jobCost, leastPerPage))
		}
		page, err = c.pageOf(ctx, what, before, size)
		switch kindOf(err) {
		case kindTooComplex, kindTooLarge, kindTooSlow:
			if ctx.Err() == nil && c.pages.shrink(size, time.Now()) {
				c.log.Info("asking for smaller pages of jobs", "jobs", size/2, "error", err)
				continue
			}
		}
		return page, size, err
	}
}

func (c *Client) pageOf(ctx context.Context, what selection, before *string, size int) (*jobPage, error) {
	var from *time.Time
	if !what.from.IsZero() {
		from = &what.from
	}
	var priority *JobPrioritySearch
	if len(what.priorities) > 0 {
		priority = &JobPrioritySearch{Number: what.priorities}
	}
	var answer *scheduledJobsResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		s := what.scope
		answer, err = scheduledJobs(ctx, c.graphql, c.settings.Organization, s.rules, s.cluster, s.queues, s.clustered, from, priority, size, before)
		return err
	})
	if answer == nil || answer.Organization == nil {
		if err == nil {
			err = c.unknownOrganization()
		}
		return nil, err
	}
	if answer.Organization.Jobs == nil && err == nil {
		err = &dispatcher.Problem{Kind: "no-listing", Advice: "Buildkite answered without a list of jobs"}
	}
	return answer.Organization.Jobs, err
}

// jobsOf returns the page's jobs, the oldest first, and how many an incomplete
// answer left out.
func (c *Client) jobsOf(page *jobPage) (jobs []listedJob, missing int) {
	now := time.Now()
	for _, edge := range slices.Backward(page.Edges) {
		// A node that is null is of no type.
		if edge == nil || edge.Node.Type != commandJob || edge.Node.UUID == "" {
			missing++
			continue
		}
		node := &edge.Node
		jobs = append(jobs, listedJob{
			created: node.CreatedAt,
			listed:  now,
			job: jobpod.Job{
				UUID:        node.UUID,
				URL:         node.URL,
				Env:         node.Env,
				Rules:       c.rulesOf(node.AgentQueryRules),
				Priority:    node.Priority.Number,
				ScheduledAt: firstTime(node.ScheduledAt, node.CreatedAt),
			},
		})
	}
	return jobs, missing
}

// rulesOf names the queue of a job that names none: it is listed because it is
// in a cluster's default queue.
func (c *Client) rulesOf(rules []string) []string {
	if c.queues.defaultKey == "" || slices.ContainsFunc(rules, isQueueRule) {
		return rules
	}
	return append(slices.Clone(rules), jobpod.Tag{Key: jobpod.QueueKey, Value: c.queues.defaultKey}.String())
}

func isQueueRule(rule string) bool {
	key, _, _ := strings.Cut(rule, "=")
	return strings.TrimSpace(key) == jobpod.QueueKey
}

// firstCursor returns the cursor of the page's newest job.
func firstCursor(page *jobPage) string {
	for _, edge := range page.Edges {
		if edge != nil && edge.Cursor != "" {
			return edge.Cursor
		}
	}
	return ""
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

package buildkite

import (
	"context"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// cheapListing is a price at which all jobs are listed rather than those that
	// seem new: jobs may have been created long before they are scheduled.
	cheapListing = pageCost + 25*jobCost
	// dearListing is what there must be to begin listing all jobs when they are
	// many: a listing that stops at jobs that are known is of no use.
	dearListing = 2 * (pageCost + mostPerPage*jobCost)
	// unchangedRate is how many points per second may go into listing jobs while
	// their number stays the same: one may have come for each that went.
	unchangedRate = 5
	// unchangedInterval is the longest time that an unchanged number is trusted.
	unchangedInterval = 10 * time.Second
	// unlimitedRate stands in for both rates while no answer tells of a limit.
	unlimitedRate = 200
	// fullPart of the rate of polls may go into listing all jobs when they are
	// many.
	fullPart = 0.25
	// pollCredit is how much rest a poller that was quiet has saved up.
	pollCredit = 10 * time.Second
	// longestRest bounds all rests.
	longestRest = time.Minute
	// overlap is listed again: a job may come to light after one that was created
	// later, and times may be cut to the second.
	overlap = time.Second
	// crowd is how many jobs, created in an overlap, are too many to be listed again
	// with each poll: then that is done each overlapInterval.
	crowd           = 25
	overlapInterval = 5 * time.Second
	// priorityInterval is the time between looks for jobs that are more urgent
	// than those at the head of a long queue.
	priorityInterval = 5 * time.Second
	// window is how many waiting jobs are listed at most, and leastWindow how many
	// when points are counted and few are taken.
	window      = 500
	leastWindow = 50
)

// poller looks for scheduled jobs in one scope.
type poller struct {
	client *Client
	scope  scope
	// part of the rate of polls is this poller's.
	part   float64
	mirror mirror

	// total is how many jobs are scheduled, by the last count.
	total int
	// isListed is set once all jobs have been listed, or as many as wanted;
	// isComplete while the mirror reaches the newest job.
	isListed, isComplete bool
	// isBusy is set when the last listing found new jobs: the next will too, so
	// that counting first is a waste.
	isBusy bool
	// isMissing is set when there are more jobs than are known, and looking at the
	// newest did not find them.
	isMissing bool

	// cursor is where the listing of a long queue left off.
	cursor   *string
	lastFull time.Time
	// newest is the newest job's cursor, and overlapRest when what was created just
	// before it may be listed again.
	newest      *string
	overlapRest time.Time
	// rest and priorityRest are when the next poll and look for urgent jobs may be.
	rest, priorityRest time.Time
	// doubtRest is when all jobs may be listed again for a reason, fullRest when
	// without one.
	doubtRest, fullRest time.Time
	// dear is what the last listing of all jobs cost above cheapListing.
	dear int
}

func newPoller(client *Client, scope scope, part float64) *poller {
	return &poller{client: client, scope: scope, part: part, mirror: newMirror()}
}

// poll brings the mirror up to date as far as that is due.
func (p *poller) poll(ctx context.Context, known func(string) bool) error {
	now := time.Now()
	doubt := p.mirror.observe(known, now)
	isHungry := p.isHungry(known, now)
	if !isHungry && now.Before(p.rest) {
		return nil
	}
	before := p.client.budget.points()
	p.dear = 0
	err := p.refresh(ctx, known, doubt, isHungry)
	// What listing all of many jobs costs is no reason not to look for new ones.
	p.rest = p.restAfter(now, p.rest, p.client.budget.points()-before-p.dear, 1, longestRest)
	// What has a pod when it is listed has to be listed again once it has none.
	p.mirror.observe(known, time.Now())
	return err
}

// isHungry reports whether there are jobs, for sure, and none of them known.
func (p *poller) isHungry(known func(string) bool, now time.Time) bool {
	return !p.isListed || !p.isMissing && p.total > len(p.mirror.jobs) && len(p.mirror.waiting(known, now)) == 0
}

// restAfter returns when to go on after what cost points, in proportion.
func (p *poller) restAfter(now, rest time.Time, points int, part float64, longest time.Duration) time.Time {
	rate := p.client.budget.pollRate() * p.part * part
	if rate <= 0 {
		return now
	}
	if saved := now.Add(-pollCredit); rest.Before(saved) {
		rest = saved
	}
	rest = rest.Add(time.Duration(float64(points) / rate * float64(time.Second)))
	if latest := now.Add(longest); rest.After(latest) {
		return latest
	}
	return rest
}

// refresh counts the jobs, and lists those that it has to.
func (p *poller) refresh(ctx context.Context, known func(string) bool, doubt doubt, isHungry bool) error {
	now := time.Now()
	if !p.isListed || p.isBusy {
		return p.all(ctx, known)
	}
	total, err := p.client.count(ctx, p.scope)
	if err != nil {
		return err
	}
	hasChanged := total != p.total
	p.total = total
	if total == 0 {
		p.mirror = newMirror()
		p.newest, p.isComplete, p.isMissing, p.lastFull = nil, true, false, now
		return nil
	}
	points, limited := p.client.budget.affordable(now)
	price := pageCost + jobCost*total
	hasReason := doubt == doubtStale || ((doubt == doubtReleased || p.isMissing) && !now.Before(p.doubtRest))
	switch {
	case !hasChanged && doubt == doubtNone && !isHungry && now.Sub(p.lastFull) < unchangedFor(price, limited):
		return nil
	case price <= cheapListing, !limited:
		return p.all(ctx, known)
	case hasReason && points >= p.priceOfAll(price):
		return p.all(ctx, known)
	case isHungry && !p.isComplete:
		return p.further(ctx, known)
	case !now.Before(p.fullRest) && points >= p.priceOfAll(price):
		return p.all(ctx, known)
	}
	return p.further(ctx, known)
}

// priceOfAll returns how many points there must be to begin listing all jobs.
func (p *poller) priceOfAll(price int) float64 {
	return min(float64(price), dearListing, 0.8*p.client.budget.burst())
}

// unchangedFor returns how long an unchanged number of jobs is trusted.
func unchangedFor(price int, limited bool) time.Duration {
	rate := unchangedRate
	if !limited {
		rate = unlimitedRate
	}
	return min(time.Duration(price)*time.Second/time.Duration(rate), unchangedInterval)
}

// wanted returns how many waiting jobs are enough: more than are taken until the
// next listing.
func (p *poller) wanted() int {
	if _, limited := p.client.budget.affordable(time.Now()); !limited {
		return window
	}
	return min(max(2*p.mirror.takenSince(p.lastFull), leastWindow), window)
}

// enough returns a condition that is true once there are enough jobs to take. It is
// asked of a growing list, and looks at each job once.
func (p *poller) enough(known func(string) bool) func([]listedJob) bool {
	wanted, seen, waiting := p.wanted(), 0, 0
	return func(jobs []listedJob) bool {
		for _, job := range jobs[seen:] {
			if !known(job.job.UUID) {
				waiting++
			}
		}
		seen = len(jobs)
		return waiting >= wanted
	}
}

// all lists jobs from the oldest on, past those that have a pod, until there are
// enough others.
func (p *poller) all(ctx context.Context, known func(string) bool) error {
	began, before := time.Now(), p.client.budget.points()
	listed, err := p.client.list(ctx, selection{scope: p.scope, known: known}, p.enough(known))
	if listed.jobs == nil && err != nil {
		return err
	}
	added := p.add(listed)
	p.total = max(listed.total, len(listed.jobs))
	if err == nil && !listed.hasGaps {
		// A job that an incomplete answer left out may well be scheduled still.
		reach := reachOf(listed.jobs)
		if listed.isComplete {
			reach = maxTime
		}
		p.mirror.drop(began, reach)
	}
	p.isListed = p.isListed || err == nil
	if listed.isComplete || added > 0 || p.cursor == nil {
		p.cursor = cursorOf(listed)
	}
	p.noteNewest(listed, began)
	p.isComplete, p.isMissing, p.lastFull = listed.isComplete, false, began
	p.isBusy = added > 0 && listed.isComplete && pageCost+jobCost*len(listed.jobs) <= cheapListing
	cost := p.client.budget.points() - before
	if listed.isComplete {
		p.dear = max(cost-cheapListing, 0)
	}
	p.doubtRest = p.restAfter(began, p.doubtRest, cost, 1, budgetWindow)
	p.fullRest = p.restAfter(began, began, cost, fullPart, budgetWindow)
	if err != nil || listed.isComplete {
		return err
	}
	return p.urgent(ctx, known)
}

// further lists jobs created after those that are known. A cursor does not repeat
// those that were created at the same time, a time of creation finds those that
// have come to light since.
func (p *poller) further(ctx context.Context, known func(string) bool) error {
	now := time.Now()
	if !p.isComplete && len(p.mirror.waiting(known, now)) >= p.wanted()/2 {
		return p.urgent(ctx, known)
	}
	next := selection{scope: p.scope, before: p.cursor, known: known}
	overlaps := p.cursor == nil && (p.newest == nil || !now.Before(p.overlapRest))
	switch {
	case overlaps:
		next.from = p.mirror.reach.Add(-overlap)
	case p.cursor == nil:
		next.before = p.newest
	}
	listed, err := p.client.list(ctx, next, p.enough(known))
	added := p.add(listed)
	if err != nil {
		// A cursor may have gone bad.
		p.cursor, p.newest = nil, nil
		return err
	}
	if overlaps || p.cursor != nil {
		p.noteNewest(listed, now)
	} else if listed.newest != nil {
		p.newest = listed.newest
	}
	p.isComplete, p.cursor = listed.isComplete, cursorOf(listed)
	p.isMissing = listed.isComplete && added == 0 && p.total > len(p.mirror.jobs)
	if listed.isComplete {
		return nil
	}
	return p.urgent(ctx, known)
}

// noteNewest remembers where a listing that came to the end did so, and has what was
// created in the overlap before it left alone for a while if that is much.
func (p *poller) noteNewest(listed listing, began time.Time) {
	if !listed.isComplete {
		return
	}
	p.newest, p.overlapRest = listed.newest, time.Time{}
	from, overlapping := reachOf(listed.jobs).Add(-overlap), 0
	for _, job := range listed.jobs {
		if !job.created.Before(from) {
			overlapping++
		}
	}
	if overlapping > crowd {
		p.overlapRest = began.Add(overlapInterval)
	}
}

func cursorOf(listed listing) *string {
	if listed.isComplete {
		return nil
	}
	return listed.cursor
}

// urgent looks for jobs that are more urgent than those that are known, beyond
// the reach of the listing.
func (p *poller) urgent(ctx context.Context, known func(string) bool) error {
	now := time.Now()
	priorities := p.mirror.prioritiesAbove(p.mirror.waiting(known, now))
	if now.Before(p.priorityRest) || len(priorities) == 0 || !p.client.canAffordPage() {
		return nil
	}
	listed, err := p.client.list(ctx, selection{scope: p.scope, priorities: priorities, known: known}, p.enough(known))
	p.client.found(listed.jobs)
	p.mirror.add(listed.jobs)
	p.priorityRest = now.Add(priorityInterval)
	return err
}

// add takes a listing in that is in order of creation.
func (p *poller) add(listed listing) int {
	p.client.found(listed.jobs)
	p.mirror.reached(listed.jobs)
	return p.mirror.add(listed.jobs)
}

// waiting returns the jobs that are there for the taking.
func (p *poller) waiting(known func(string) bool) []jobpod.Job {
	return p.mirror.waiting(known, time.Now())
}

// maxTime is later than anything.
var maxTime = time.Unix(1<<40, 0)

func reachOf(jobs []listedJob) time.Time {
	reach := time.Time{}
	for _, job := range jobs {
		if job.created.After(reach) {
			reach = job.created
		}
	}
	return reach
}

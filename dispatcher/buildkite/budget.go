package buildkite

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

const (
	// DefaultBudgetShare of the organization's points may be used by dispatchers.
	DefaultBudgetShare = 0.5

	// burstSeconds of its rate a program that was idle may use at once.
	burstSeconds = 75
	// firstPoints may be used before an answer has told of a limit.
	firstPoints = 100
	// firstPart of the rate is taken until it is known whether others use the
	// same token: many may have been started together.
	firstPart = 0.1
	// leastPart of the rate is what a program may always use, so that one that
	// comes late gets a foot in the door.
	leastPart = 0.01
	// step is by how much of the whole rate a program's own grows with each
	// measurement. It is the same for all, while cuts are in proportion: so
	// shares become equal in the end.
	step = 0.01
	// pollShare of the rate may go into looking for jobs.
	pollShare = 0.6
	// alonePart of all that is used is so much that there can be no other program.
	alonePart = 0.9
	// maxBudgetWait is how long a request waits for points before it gives up.
	maxBudgetWait = 30 * time.Second
	// idleGrace is how long after the end of a window others are left to begin
	// the next one: all come back at that moment.
	idleGrace = 10 * time.Second
)

// budget paces requests by the points that the answers to earlier ones cost.
// Many programs may share a token and know of each other only by what is left:
// each takes less when all together use more than the rest of the window
// allows, and a little more when they do not.
//
// It costs nothing while answers do not mention points.
type budget struct {
	mu       sync.Mutex
	counters [2]counter // of the user, of the organization
	limiter  *rate.Limiter
	limited  bool
	// settled is set once this program was seen to be alone with its token.
	settled      bool
	blockedUntil time.Time

	used  int
	spent meter
	jobs  meter
	// bound is when a poll was last put off for want of points.
	bound time.Time
}

func newBudget(share float64) *budget {
	if share <= 0 || share > 1-hardReserve {
		share = DefaultBudgetShare
	}
	return &budget{
		counters: [2]counter{{prefix: "RateLimit-User-", reserve: softReserve}, {prefix: "RateLimit-", reserve: 1 - share}},
		limiter:  rate.NewLimiter(rate.Limit(firstPoints/float64(burstSeconds)), firstPoints),
	}
}

// wait returns once something may be begun that costs points. A wait that is too long to sit
// through is a Problem that says when to come back.
func (b *budget) wait(ctx context.Context) error {
	pause := b.pause(time.Now())
	if pause <= 0 {
		return nil
	}
	if pause > maxBudgetWait {
		return b.problem(pause)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

func (b *budget) problem(pause time.Duration) error {
	return &dispatcher.Problem{
		Kind: "budget",
		Advice: "the points that Buildkite grants the API token are used up until " + time.Now().Add(pause).Format(time.TimeOnly) +
			": give the dispatcher a token of a user of its own, or run fewer programs per token",
		RetryAfter: pause,
	}
}

// pause returns how long the next request has to wait.
func (b *budget) pause(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := b.blockedUntil.Sub(now)
	if debt := -b.limiter.TokensAt(now); b.limited && debt > 0 {
		// Another window knows nothing of debts in this one, and nobody is to starve.
		owed := time.Duration(debt / float64(b.limiter.Limit()) * float64(time.Second))
		pause = max(pause, min(owed, b.windowLeft(now), longestRest))
	}
	return max(pause, 0)
}

// windowLeft returns how long the longer of the windows lasts.
func (b *budget) windowLeft(now time.Time) time.Duration {
	return max(b.counters[0].resets.Sub(now), b.counters[1].resets.Sub(now), 0)
}

// blocked returns how long no request may be made at all.
func (b *budget) blocked(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.blockedUntil.Sub(now), 0)
}

// affordable returns how many points may be used at once, and false while no
// answer has told of a limit.
func (b *budget) affordable(now time.Time) (points float64, limited bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	points = b.limiter.TokensAt(now)
	for i := range b.counters {
		if b.counters[i].limit > 0 {
			points = min(points, b.counters[i].usable(now))
		}
	}
	return max(points, 0), b.limited
}

// burst returns how many points may be saved up.
func (b *budget) burst() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.limiter.Burst())
}

// pollRate is how many points per second may go into looking for jobs: the rest
// is for bursts, and for everything else that costs points. It is 0 while there
// is no limit.
func (b *budget) pollRate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.limited {
		return 0
	}
	average := float64(b.limiter.Limit())
	for i := range b.counters {
		if b.counters[i].limit > 0 {
			average = min(average, b.counters[i].average())
		}
	}
	return pollShare * average
}

// points returns how many points this program has used.
func (b *budget) points() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// observe charges an answer's cost and sets the pace by what it tells. It may
// read the beginning of the answer's body, and puts it back.
func (b *budget) observe(response *http.Response) {
	now := time.Now()
	refused := time.Duration(0)
	if response.StatusCode == http.StatusTooManyRequests {
		refused = retryAfter(response, now)
	}
	cost, _ := intHeader(response.Header, "RateLimit-Complexity-Actual")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += cost
	b.spent.add(now, float64(cost))
	for i := range b.counters {
		if b.counters[i].observe(response.Header, now, cost) {
			b.limited = true
		}
		if b.counters[i].used() {
			b.block(now, b.counters[i].resets.Sub(now))
		}
	}
	if refused > 0 {
		b.block(now, refused)
	}
	if b.limited {
		b.charge(now, cost)
		b.adapt(now)
	}
}

// adapt sets this program's own rate.
func (b *budget) adapt(now time.Time) {
	own, isAlone := -1.0, true
	for i := range b.counters {
		c := &b.counters[i]
		if c.limit == 0 {
			continue
		}
		granted := b.granted(c, now)
		isAlone = isAlone && c.isAlone
		if own < 0 || granted < own {
			own = granted
		}
	}
	burst := max(int(own*burstSeconds), 1)
	if isAlone && !b.settled {
		// Nobody else is there: there was no need to begin carefully.
		b.settled = true
		b.limiter = rate.NewLimiter(rate.Limit(own), burst)
		return
	}
	b.limiter.SetLimitAt(now, rate.Limit(own))
	b.limiter.SetBurstAt(now, burst)
}

// granted returns how much of a counter this program may use per second.
func (b *budget) granted(c *counter, now time.Time) float64 {
	allowed := c.allowed(now)
	current := c.granted
	all, own, known := c.measure(now)
	c.isAlone = c.isAlone && !known
	switch {
	case current == 0:
		current = allowed * firstPart
	case !known:
	case own >= alonePart*all:
		c.isAlone = true
		current = allowed
	case all > allowed:
		current = min(current, max(own, allowed*leastPart)) * max(allowed/all, 0.5)
		current += allowed * step
	case all < 0.9*allowed:
		current = current*min(allowed/max(all, 1e-3), 1.25) + allowed*step
	}
	c.granted = min(max(current, allowed*leastPart), allowed)
	return c.granted
}

// charge takes points that were used, also those not yet earned: the next wait
// is then longer.
func (b *budget) charge(now time.Time, points int) {
	for points > 0 {
		part := min(points, b.limiter.Burst())
		b.limiter.ReserveN(now, part)
		points -= part
	}
}

// block stops requests for a while. All who wait for the same moment come back a
// little apart.
func (b *budget) block(now time.Time, pause time.Duration) {
	pause = min(pause, budgetWindow)
	if pause > idleGrace {
		pause += rand.N(idleGrace) //nolint:gosec // spreads requests, hides nothing
	}
	if until := now.Add(pause); until.After(b.blockedUntil) {
		b.blockedUntil = until
	}
}

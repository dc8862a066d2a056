package buildkite

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// Buildkite counts complexity points per user and per organization in windows
// of five minutes and tells the state of both with every answer:
// https://buildkite.com/docs/apis/graphql/graphql-resource-limits
const (
	budgetWindow = 5 * time.Minute
	// budgetShare of a user's points may be used; the rest is for people.
	budgetShare = 0.8
	// budgetBurst lets a dispatcher that was idle catch up at once.
	budgetBurst = 1000
	// defaultUserPoints is the limit of a user unless an answer says otherwise.
	defaultUserPoints = 5000
	// maxBudgetWait is how long a request waits for points before it gives up.
	maxBudgetWait = 30 * time.Second
)

// limitHeaders are the prefixes of the two counters' headers.
var limitHeaders = []string{"RateLimit-", "RateLimit-User-"}

// budget paces requests by the points that the answers to earlier ones cost.
// It costs nothing while answers do not mention points.
type budget struct {
	limiter *rate.Limiter

	mu           sync.Mutex
	blockedUntil time.Time
}

func newBudget() *budget {
	return &budget{limiter: rate.NewLimiter(pointRate(defaultUserPoints), budgetBurst)}
}

func pointRate(points int) rate.Limit {
	return rate.Limit(float64(points) * budgetShare / budgetWindow.Seconds())
}

// wait returns once a request may be made. A wait that is too long to sit
// through is a Problem that says when to come back.
func (b *budget) wait(ctx context.Context) error {
	now := time.Now()
	b.mu.Lock()
	pause := b.blockedUntil.Sub(now)
	b.mu.Unlock()
	debt := -b.limiter.TokensAt(now)
	pause = max(pause, time.Duration(debt/float64(b.limiter.Limit())*float64(time.Second)))
	if pause <= 0 {
		return nil
	}
	if pause > maxBudgetWait {
		return &dispatcher.Problem{
			Kind:       "budget",
			Advice:     "the points that Buildkite grants the API token are used up until " + now.Add(pause).Format(time.TimeOnly) + ": fewer programs per token, or a longer --poll-interval",
			RetryAfter: pause,
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// observe charges an answer's cost and stops requests until the window's end
// once the share is used up, by this program or by others with the same token.
func (b *budget) observe(response *http.Response) {
	header := response.Header
	if points, known := intHeader(header, "RateLimit-User-Limit"); known && points > 0 {
		b.limiter.SetLimit(pointRate(points))
	}
	if cost, known := intHeader(header, "RateLimit-Complexity-Actual"); known {
		b.charge(cost)
	}
	for _, prefix := range limitHeaders {
		points, hasLimit := intHeader(header, prefix+"Limit")
		remaining, hasRemaining := intHeader(header, prefix+"Remaining")
		seconds, _ := intHeader(header, prefix+"Reset")
		if hasLimit && hasRemaining && float64(remaining) < (1-budgetShare)*float64(points) {
			b.block(time.Duration(seconds) * time.Second)
		}
	}
	if response.StatusCode == http.StatusTooManyRequests {
		b.block(retryAfter(header))
	}
}

// charge takes points that were used, also those not yet earned: the next wait
// is then longer.
func (b *budget) charge(points int) {
	for points > 0 {
		part := min(points, budgetBurst)
		b.limiter.ReserveN(time.Now(), part)
		points -= part
	}
}

func (b *budget) block(pause time.Duration) {
	pause = min(pause, budgetWindow)
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(pause); until.After(b.blockedUntil) {
		b.blockedUntil = until
	}
}

// retryAfter returns how long a 429 asks to wait: at least a second, so that a
// bare 429 does not turn into a storm.
func retryAfter(header http.Header) time.Duration {
	longest := 1
	for _, name := range []string{"Retry-After", "RateLimit-Reset", "RateLimit-User-Reset"} {
		if seconds, known := intHeader(header, name); known {
			longest = max(longest, seconds)
		}
	}
	return time.Duration(longest) * time.Second
}

func intHeader(header http.Header, name string) (int, bool) {
	value, err := strconv.Atoi(header.Get(name))
	return value, err == nil && value >= 0
}

package dispatcher

import (
	"sync"
	"time"
)

// breaker stops all dispatch while the platform itself is at fault, such as a
// mutator that does not answer: one job at a time then probes whether it is
// over. Any success ends it.
type breaker struct {
	mu       sync.Mutex
	failures int
	tripped  time.Time
	until    time.Time
}

// allowance returns how many more jobs may be started while so many are in
// hand: wanted, one as a probe, or none.
func (b *breaker) allowance(wanted, inHand int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures == 0:
		return wanted
	case inHand > 0 || time.Now().Before(b.until):
		return 0
	default:
		return min(wanted, 1)
	}
}

// probing reports whether dispatch is stopped but for probes.
func (b *breaker) probing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

// trip notes a fault of the platform that an attempt begun at this time met.
// Attempts that were already under way when it was first noted tell nothing
// new.
func (b *breaker) trip(begun time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures > 0 && begun.Before(b.tripped) {
		return
	}
	b.failures++
	b.tripped = time.Now()
	b.until = b.tripped.Add(backoff(b.failures))
}

// trippedBefore reports whether the last fault was noted before this time.
func (b *breaker) trippedBefore(when time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tripped.Before(when)
}

// reset ends the stop, and reports whether there was one.
func (b *breaker) reset() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.failures > 0
	b.failures, b.until = 0, time.Time{}
	return was
}

package dispatcher

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = time.Second
	backoffMost  = 30 * time.Second
)

// backoff returns how long to wait after the given number of failures in a
// row, from 1: doubling, bounded, and up to a fifth less by chance so that
// what failed together does not come back together.
func backoff(failures int) time.Duration {
	pause := backoffFirst
	for i := 1; i < failures && pause < backoffMost; i++ {
		pause *= 2
	}
	pause = min(pause, backoffMost)
	return pause - rand.N(pause/5) //nolint:gosec // spreads retries, hides nothing
}

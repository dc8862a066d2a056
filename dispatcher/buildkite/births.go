package buildkite

import (
	"sync"
	"time"
)

// maxBirths bounds how many jobs' births are remembered, twice over.
const maxBirths = 20_000

// births remembers when jobs were created, of the last so many that were listed.
// Its zero value is ready.
type births struct {
	mu           sync.Mutex
	recent, past map[string]time.Time
}

// add remembers a job and reports whether it is new.
func (b *births) add(uuid string, created time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, isKnown := b.recent[uuid]; isKnown {
		return false
	}
	_, wasKnown := b.past[uuid]
	if b.recent == nil || len(b.recent) >= maxBirths {
		b.recent, b.past = map[string]time.Time{}, b.recent
	}
	b.recent[uuid] = created
	return !wasKnown
}

// of returns when a job was created.
func (b *births) of(uuid string) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if created, isKnown := b.recent[uuid]; isKnown {
		return created, !created.IsZero()
	}
	created := b.past[uuid]
	return created, !created.IsZero()
}

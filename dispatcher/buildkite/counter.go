package buildkite

import (
	"net/http"
	"strconv"
	"time"
)

// Buildkite counts complexity points per user and per organization in windows
// of five minutes and tells the state of both with every answer:
// https://buildkite.com/docs/apis/graphql/graphql-resource-limits
const budgetWindow = 5 * time.Minute

const (
	// hardReserve of a counter's points is never touched: beyond lies the 429,
	// for everybody with the same token. It is a fifth, and a little for requests
	// that are on their way when it is reached.
	hardReserve = 0.2 + 0.01
	// softReserve is what programs aim at to have left of their user's points:
	// each knows of the others' requests only when it makes one of its own.
	softReserve = hardReserve + 0.06
	// trickle of what lies above the hard reserve may be used when others have
	// used up the share that was meant for them and more: their excess must not
	// stop all jobs.
	trickle = 0.1
	// haste bounds how much faster than its average a window may be used up
	// towards its end.
	haste = 1.5
	// measureInterval is the shortest time in which a rate is measured.
	measureInterval = 2 * time.Second
)

// counter is one of Buildkite's counters as its last answer told of it, and
// what the answers before it tell of how many programs use it.
type counter struct {
	// prefix is that of the headers.
	prefix string
	// reserve is the part of the points that is left to others.
	reserve float64

	limit, remaining int
	resets           time.Time

	// granted is how many points per second this program takes of it.
	granted float64
	// isAlone is set while no other program uses the counter, as last measured.
	isAlone bool
	// perSecond is what all together used when it was last measured.
	perSecond float64

	// measured is where the current measurement began: the points left then, and
	// those that this program has used since.
	measured     time.Time
	measuredLeft int
	own          int
}

// observe takes an answer's headers in. It reports whether they spoke of the
// counter.
func (c *counter) observe(header http.Header, now time.Time, cost int) bool {
	limit, hasLimit := intHeader(header, c.prefix+"Limit")
	remaining, hasRemaining := intHeader(header, c.prefix+"Remaining")
	seconds, hasReset := intHeader(header, c.prefix+"Reset")
	if !hasLimit || !hasRemaining || limit == 0 {
		return false
	}
	if !hasReset {
		seconds = int(budgetWindow.Seconds())
	}
	if isNew := c.limit == 0 || !now.Before(c.resets) || remaining > c.remaining; isNew {
		c.measured, c.measuredLeft, c.own = now, remaining+cost, 0
	}
	c.limit, c.remaining = limit, remaining
	c.resets = now.Add(min(time.Duration(seconds)*time.Second, budgetWindow))
	c.own += cost
	return true
}

// usable returns the points that may still be used in this window, by all who
// share the counter.
func (c *counter) usable(now time.Time) float64 {
	limit, remaining := float64(c.limit), float64(c.remaining)
	if !now.Before(c.resets) {
		remaining = limit
	}
	return max(remaining-c.reserve*limit, trickle*(remaining-hardReserve*limit), 0)
}

// average returns the points per second of a window that is used up evenly.
func (c *counter) average() float64 {
	return (1 - c.reserve) * float64(c.limit) / budgetWindow.Seconds()
}

// allowed returns how many points per second all who share the counter may use
// for the rest of the window.
func (c *counter) allowed(now time.Time) float64 {
	left := c.resets.Sub(now)
	if left <= 0 {
		left = budgetWindow
	}
	return max(min(c.usable(now)/max(left.Seconds(), 1), haste*c.average()), leastPart*c.average())
}

// used reports whether the hard reserve is reached.
func (c *counter) used() bool {
	return c.limit > 0 && float64(c.remaining) < hardReserve*float64(c.limit)
}

// measure returns how many points per second all together and this program have
// used since the last measurement, and begins another. It is too early when it
// is not known.
func (c *counter) measure(now time.Time) (all, own float64, known bool) {
	seconds := now.Sub(c.measured).Seconds()
	if c.limit == 0 || seconds < measureInterval.Seconds() {
		return 0, 0, false
	}
	all = float64(max(c.measuredLeft-c.remaining, c.own)) / seconds
	own = float64(c.own) / seconds
	c.perSecond = all
	c.measured, c.measuredLeft, c.own = now, c.remaining, 0
	return all, own, true
}

func intHeader(header http.Header, name string) (int, bool) {
	value, err := strconv.Atoi(header.Get(name))
	return value, err == nil && value >= 0
}

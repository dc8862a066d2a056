package graphqlapi

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// maxOperations bounds the names kept of one user; more are added up as "other".
const maxOperations = 100

// account counts the points of a user or of the organization. A window begins
// with the first request after the end of the one before.
type account struct {
	user         string
	revoked      bool
	total        Consumption
	operations   map[string]Operation
	windowEnds   time.Time
	windowPoints int
}

// budget keeps the accounts.
type budget struct {
	mu           sync.Mutex
	limits       Limits
	organization account
	users        map[string]*account // by token
	order        []*account
}

func newBudget(limits Limits, tokens []string) *budget {
	b := &budget{limits: limits.withDefaults(), users: map[string]*account{}}
	for _, token := range tokens {
		b.add(token)
	}
	return b
}

// add makes token one of a new user, or good again.
func (b *budget) add(token string) {
	if known, ok := b.users[token]; ok {
		known.revoked = false
		return
	}
	added := &account{user: fmt.Sprintf("user-%d", len(b.order)+1), operations: map[string]Operation{}}
	b.users[token] = added
	b.order = append(b.order, added)
}

// setToken adds or revokes a token. It reports whether there was one to revoke.
func (b *budget) setToken(token string, revoked bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !revoked {
		b.add(token)
		return true
	}
	known, ok := b.users[token]
	if ok {
		known.revoked = true
	}
	return ok
}

// user returns the account of a token, or nil if it is unknown or revoked.
func (b *budget) user(token string) *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.users[token]
	if known == nil || known.revoked {
		return nil
	}
	return known
}

// setLimits changes the limits and begins new windows.
func (b *budget) setLimits(limits Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = limits.withDefaults()
	for _, a := range append(slices.Clone(b.order), &b.organization) {
		a.windowEnds, a.windowPoints = time.Time{}, 0
	}
}

func (b *budget) queryLimit() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits.Query
}

// refusal is why a request is not carried out.
type refusal struct {
	message    string
	retryAfter time.Duration
}

// admit returns a refusal if the user's or the organization's points are used up.
func (b *budget) admit(user *account) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	window := time.Duration(b.limits.WindowSeconds) * time.Second
	user.open(now, window)
	b.organization.open(now, window)
	user.total.Requests++
	b.organization.total.Requests++
	var reset int
	var message string
	switch {
	case b.limits.User > 0 && user.windowPoints >= b.limits.User:
		reset = user.reset(now, window)
		message = fmt.Sprintf("You have exceeded your per-user limit of %d complexity points. Please try again in %d seconds.", b.limits.User, reset)
	case b.limits.Organization > 0 && b.organization.windowPoints >= b.limits.Organization:
		reset = b.organization.reset(now, window)
		message = fmt.Sprintf("Your organization has exceeded the limit of %d complexity points. Please try again in %d seconds.", b.limits.Organization, reset)
	default:
		return nil
	}
	user.total.Refused++
	b.organization.total.Refused++
	result := &refusal{message: message}
	if !b.limits.NoRetryAfter {
		result.retryAfter = time.Duration(reset) * time.Second
	}
	return result
}

func (a *account) open(now time.Time, window time.Duration) {
	if now.Before(a.windowEnds) {
		return
	}
	a.windowEnds, a.windowPoints = now.Add(window), 0
}

// reset returns the seconds to the end of the window, rounded up.
func (a *account) reset(now time.Time, window time.Duration) int {
	left := a.windowEnds.Sub(now)
	if left <= 0 {
		left = window // the next request opens a new one
	}
	return int(math.Ceil(left.Seconds()))
}

// tooComplex counts a query that was refused for its size.
func (b *budget) tooComplex(user *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	user.total.TooComplex++
	b.organization.total.TooComplex++
}

// charge books what a query has cost.
func (b *budget) charge(user *account, operation string, requested, actual int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range []*account{user, &b.organization} {
		a.windowPoints += actual
		a.total.Points += actual
		a.total.Peak = max(a.total.Peak, a.windowPoints)
	}
	sum, known := user.operations[operation]
	if !known && len(user.operations) >= maxOperations {
		operation = "other"
		sum = user.operations[operation]
	}
	user.operations[operation] = Operation{Requests: sum.Requests + 1, Points: sum.Points + actual, Requested: requested}
}

// writeHeaders tells the state of both windows, as Buildkite does with every
// answer, if there are limits.
func (b *budget) writeHeaders(header http.Header, user *account, requested, actual int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits.User <= 0 && b.limits.Organization <= 0 {
		return
	}
	set := func(name string, value int) { header.Set(name, strconv.Itoa(value)) }
	now := time.Now()
	window := time.Duration(b.limits.WindowSeconds) * time.Second
	for _, counter := range []struct {
		prefix string
		limit  int
		of     *account
	}{{"RateLimit-", b.limits.Organization, &b.organization}, {"RateLimit-User-", b.limits.User, user}} {
		if counter.limit <= 0 {
			continue
		}
		set(counter.prefix+"Limit", counter.limit)
		set(counter.prefix+"Remaining", max(0, counter.limit-counter.of.windowPoints))
		set(counter.prefix+"Reset", counter.of.reset(now, window))
	}
	set("RateLimit-Complexity-Requested", requested)
	set("RateLimit-Complexity-Actual", actual)
}

// usage returns a copy of the accounts.
func (b *budget) usage() Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	result := Usage{Limits: b.limits, Organization: b.consumption(&b.organization, b.limits.Organization)}
	for _, user := range b.order {
		result.Users = append(result.Users, b.consumption(user, b.limits.User))
	}
	return result
}

func (b *budget) consumption(a *account, limit int) Consumption {
	now := time.Now()
	window := time.Duration(b.limits.WindowSeconds) * time.Second
	result := a.total
	result.User, result.Revoked = a.user, a.revoked
	if now.Before(a.windowEnds) {
		result.WindowPoints = a.windowPoints
	}
	result.ResetSeconds = a.reset(now, window)
	result.Remaining = -1
	if limit > 0 {
		result.Remaining = max(0, limit-result.WindowPoints)
	}
	result.Operations = maps.Clone(a.operations)
	return result
}

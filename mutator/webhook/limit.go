package webhook

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// DefaultMaxInFlight is how many reviews are under way at once unless a flag says
// otherwise: enough to keep the cores busy, and few enough that as many pods of
// the largest size fit into the memory that the manifests give the mutator.
const DefaultMaxInFlight = 16

// Limits of what a server holds at once. The API server gives up on a review
// after the 5 seconds of our webhook configuration, so a longer wait helps nobody.
const (
	maxWait = 4 * time.Second
	// maxReviewBytes is what controller-runtime reads of a review.
	maxReviewBytes = 7 << 20
	// maxHeldBytes is for the bodies of all reviews, under way or waiting: a
	// thousand of the usual size take a third of it.
	maxHeldBytes = 64 << 20
)

// limiter lets so many reviews through at once and has the others wait, first
// come, first served as far as the runtime goes. A review is nothing but
// computing: more of them at once than cores would only make each take longer, and
// hold a pod and its patch in memory for that time. Turned away are reviews that
// waited for too long, or for which there is no room: the API server's client
// comes again a second later.
type limiter struct {
	slots   chan struct{}
	wait    time.Duration
	maxHeld int64
	held    atomic.Int64
	metrics *Metrics
	next    http.Handler
}

// Limit caps the reviews that next has under way at once.
func Limit(inFlight int, metrics *Metrics, next http.Handler) http.Handler {
	return &limiter{slots: make(chan struct{}, inFlight), wait: maxWait, maxHeld: maxHeldBytes, metrics: metrics, next: next}
}

// ServeHTTP implements http.Handler.
func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size := r.ContentLength
	if size < 0 {
		size = maxReviewBytes
	}
	defer l.held.Add(-size)
	if l.held.Add(size) > l.maxHeld {
		l.turnAway(w)
		return
	}
	// The body comes first: all reviews share the window of one HTTP/2 connection,
	// and unread ones would keep those from arriving whose turn it is.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReviewBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, "the review is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the review did not arrive", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
		l.next.ServeHTTP(w, r)
	case <-timer.C:
		l.turnAway(w)
	case <-r.Context().Done():
		// Nobody waits for the answer.
		l.turnAway(w)
	}
}

func (l *limiter) turnAway(w http.ResponseWriter) {
	l.metrics.reviews.WithLabelValues(string(outcomeBusy)).Inc()
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many reviews are under way; try again", http.StatusTooManyRequests)
}

package dispatcher

import (
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// quickAnswer is the longest time that an answer may take to tell the time: the
	// server's clock was read at some moment of it.
	quickAnswer = 5 * time.Second
	// dateUnit is what an answer's Date is cut to.
	dateUnit = time.Second
)

// ClusterClock knows how far the API server's clock is ahead of this program's,
// by the Date of its answers, so that times in pods can be told in this program's.
// Its zero value, and nil, take both for the same. It is safe for concurrent use.
type ClusterClock struct {
	ahead atomic.Int64
}

// Wrap returns a transport that reads the time off the answers.
func (c *ClusterClock) Wrap(next http.RoundTripper) http.RoundTripper {
	return &datedTransport{clock: c, next: next}
}

// observe takes in the Date of an answer that was asked for and came at these
// times.
func (c *ClusterClock) observe(date, asked, answered time.Time) {
	if answered.Sub(asked) > quickAnswer {
		return
	}
	// It is ahead by something between the two.
	least, most := date.Sub(answered), date.Add(dateUnit).Sub(asked)
	switch {
	case least > 0:
		c.ahead.Store(int64(least))
	case most < 0:
		c.ahead.Store(int64(most))
	default:
		c.ahead.Store(0)
	}
}

// local turns a time of the API server's into one of this program's, which goes on
// evenly even if the machine's clock is set. The zero time stays.
func (c *ClusterClock) local(server time.Time) time.Time {
	if c == nil || server.IsZero() {
		return server
	}
	now := time.Now()
	return now.Add(server.Sub(now) - time.Duration(c.ahead.Load()))
}

// datedTransport tells a clock of every answer.
type datedTransport struct {
	clock *ClusterClock
	next  http.RoundTripper
}

func (t *datedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		t.clock.observe(date, asked, time.Now())
	}
	return response, nil
}

// WrappedRoundTripper lets Kubernetes' library get at the transport below, to
// cancel requests and to close connections.
func (t *datedTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

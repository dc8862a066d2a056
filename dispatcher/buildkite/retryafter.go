package buildkite

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// unsaidRetry is how long to wait after a 429 that says nothing, so that it
	// does not turn into a storm.
	unsaidRetry = 10 * time.Second
	// maxRefusalBytes is what is read of a 429.
	maxRefusalBytes = 64 << 10
)

// tryAgain finds the time in sentences such as "Please try again in 42 seconds."
var tryAgain = regexp.MustCompile(`(?i)(?:again|retry|wait)\s+(?:in\s+|after\s+|for\s+)?(\d{1,6})\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?)?\b`)

// retryAfter returns how long a 429 asks to wait: its header says, or the
// counter that is used up, or its text.
func retryAfter(response *http.Response, now time.Time) time.Duration {
	header := response.Header
	if text := header.Get("Retry-After"); text != "" {
		if seconds, known := intHeader(header, "Retry-After"); known {
			return bounded(time.Duration(seconds) * time.Second)
		}
		if moment, err := http.ParseTime(text); err == nil {
			return bounded(moment.Sub(serverTime(header, now)))
		}
	}
	longest := time.Duration(0)
	for _, prefix := range []string{"RateLimit-", "RateLimit-User-"} {
		remaining, hasRemaining := intHeader(header, prefix+"Remaining")
		seconds, hasReset := intHeader(header, prefix+"Reset")
		if hasReset && (!hasRemaining || remaining == 0) {
			longest = max(longest, time.Duration(seconds)*time.Second)
		}
	}
	if longest > 0 {
		return bounded(longest)
	}
	if said := saidTime(peek(response)); said > 0 {
		return bounded(said)
	}
	return unsaidRetry
}

// bounded keeps a wait between a second and a window: afterwards the counters
// have begun anew, whatever was said.
func bounded(wait time.Duration) time.Duration {
	return min(max(wait, time.Second), budgetWindow)
}

// serverTime is the answer's own clock, which a date in it goes by.
func serverTime(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

func saidTime(text string) time.Duration {
	match := tryAgain.FindStringSubmatch(text)
	if match == nil {
		return 0
	}
	number, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	unit := strings.ToLower(match[2])
	switch {
	case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "milli"):
		return time.Duration(number) * time.Millisecond
	case strings.HasPrefix(unit, "m"):
		return time.Duration(number) * time.Minute
	default:
		return time.Duration(number) * time.Second
	}
}

// peek reads the beginning of an answer and puts it back.
func peek(response *http.Response) string {
	if response.Body == nil {
		return ""
	}
	// An answer that breaks off says what it says up to there.
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusalBytes))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), response.Body), response.Body}
	return string(text)
}

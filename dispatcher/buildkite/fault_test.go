package buildkite

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A page that is too complex, too large or too slow is asked for in smaller ones.
func TestPagesShrink(t *testing.T) {
	cases := map[string]reply{
		"too complex": {body: `{"errors":[{"message":"Query has complexity of 60000, which exceeds max complexity of 50000"}]}`},
		"too large":   {body: `{"data":{"organization":{"name":"` + strings.Repeat("x", maxAnswerBytes)},
	}
	for name, refusal := range cases {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, refusal, refusal, listed(1, "a"), listed(1, "a"))
			client := clientFor(url, nil)
			jobs, err := client.Scheduled(t.Context(), unknown)
			if err != nil || len(jobs) != 1 {
				t.Fatalf("jobs %v, error %v", jobs, err)
			}
			var sizes []any
			for _, request := range server.requests {
				sizes = append(sizes, request.Variables["last"])
			}
			if diff := cmp.Diff([]any{100.0, 50.0, 25.0}, sizes); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("no page is small enough", func(t *testing.T) {
		server, url := serve(t, cases["too complex"])
		if _, err := clientFor(url, nil).Scheduled(t.Context(), unknown); kindOf(err) != kindTooComplex || len(server.requests) > 7 {
			t.Errorf("got %v after %d requests", err, len(server.requests))
		}
	})
}

// An answer that unpacks to far more than it is costs neither memory nor time.
func TestGzipBomb(t *testing.T) {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = io.WriteString(writer, `{"data":{"organization":{"name":"`)
	zeros := bytes.Repeat([]byte("0"), 1<<20)
	for range 256 {
		_, _ = writer.Write(zeros)
	}
	_ = writer.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer server.Close()
	client := clientFor(server.URL, nil)
	client.pages.most, client.pages.shrunk = leastPerPage, time.Now()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Scheduled(t.Context(), unknown)
	runtime.ReadMemStats(&after)
	if kindOf(err) != kindTooLarge {
		t.Errorf("got %v", err)
	}
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 8*maxAnswerBytes>>20 {
		t.Errorf("%d MiB were allocated", got)
	}
}

// An answer that drips, or never comes, ends at the request's deadline, and
// nothing is left of it.
func TestSlowAnswers(t *testing.T) {
	cases := map[string]func(w http.ResponseWriter, done <-chan struct{}){
		"drips": func(w http.ResponseWriter, done <-chan struct{}) {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
				}
			}
		},
		"never comes": func(_ http.ResponseWriter, done <-chan struct{}) { <-done },
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
				answer(w, r.Context().Done())
			}))
			transport := &http.Transport{}
			client := clientFor(server.URL, func(s *Settings) { s.RequestTimeout, s.Transport = 50*time.Millisecond, transport })
			client.pages.most, client.pages.shrunk = leastPerPage, time.Now()
			begun := time.Now()
			_, err := client.Scheduled(t.Context(), unknown)
			if kindOf(err) != kindTooSlow || time.Since(begun) > 5*time.Second {
				t.Errorf("got %v after %s", err, time.Since(begun))
			}
			server.Close()
			transport.CloseIdleConnections()
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

// The token is for one host.
func TestRedirectionIsNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	_, url := serve(t, reply{status: http.StatusTemporaryRedirect, header: map[string]string{"Location": other.URL}})
	if _, err := clientFor(url, nil).Scheduled(t.Context(), unknown); kindOf(err) != "wrong-endpoint" || followed {
		t.Errorf("got %v, followed %v", err, followed)
	}
}

// A job that is listed twice, or by two pages, is one job; one that vanishes from
// the listing and comes back is there again.
func TestDuplicatesAndVanishing(t *testing.T) {
	_, url := serve(t, listed(3, "b", "a", "a"), listed(3, "c", "b"), counted(2), listed(2, "c", "b"), counted(3), listed(3, "c", "b", "a"))
	client := clientFor(url, nil)
	for i, want := range [][]string{{"a", "b", "c"}, {"b", "c"}, {"a", "b", "c"}} {
		jobs, err := client.Scheduled(t.Context(), unknown)
		if diff := cmp.Diff(want, uuidsOf(jobs)); diff != "" || err != nil {
			t.Errorf("poll %d: error %v, %s", i, err, diff)
		}
		// The listing found new jobs, so that the next is not preceded by a count.
		client.poll.joint.isBusy = false
	}
}

// What an incomplete answer leaves out is scheduled still.
func TestGapsAreNoCancellations(t *testing.T) {
	gap := reply{body: strings.Replace(pageOf(2, "null", edge("b")).body, `{"data"`, `{"errors":[{"message":"timed out"}],"data"`, 1)}
	silent := pageOf(2, edge("b"), "null")
	for name, answer := range map[string]reply{"with an error": gap, "without": silent} {
		t.Run(name, func(t *testing.T) {
			_, url := serve(t, listed(2, "b", "a"), answer)
			client := clientFor(url, nil)
			for i := range 2 {
				jobs, _ := client.Scheduled(t.Context(), unknown)
				if diff := cmp.Diff([]string{"a", "b"}, uuidsOf(jobs)); diff != "" {
					t.Errorf("poll %d: %s", i, diff)
				}
			}
		})
	}
}

// A job that had a pod when it was listed is not handed out again on the strength
// of that listing: it may have run.
func TestTakenJobsAreListedAgain(t *testing.T) {
	hasPod := false
	server, url := serve(t, listed(1, "a"), listed(1, "a"), listed(0), counted(0))
	client := clientFor(url, nil)
	known := func(string) bool { return hasPod }
	for i, step := range []struct {
		hasPod bool
		want   int
	}{{false, 1}, {true, 0}, {false, 0}} {
		hasPod = step.hasPod
		client.poll.rest(t, i)
		if jobs, err := client.Scheduled(t.Context(), known); err != nil || len(jobs) != step.want {
			t.Errorf("poll %d: %v, %v after %v", i, jobs, err, server.operations())
		}
	}
}

// A job whose pod goes while it is listed is not handed out as what is kept of jobs
// that have one, which is not enough to make another: it is listed again.
func TestPodGoesWhileItsJobIsListed(t *testing.T) {
	server, url := serve(t, listed(1, "a"), listed(1, "a"))
	client := clientFor(url, nil)
	asked := 0
	known := func(string) bool {
		asked++
		return asked == 1
	}
	if jobs, err := client.Scheduled(t.Context(), known); err != nil || len(jobs) != 0 || asked < 2 {
		t.Fatalf("%v, %v after %d looks for the pod, want no job", jobs, err, asked)
	}
	jobs, err := client.Scheduled(t.Context(), known)
	if err != nil || len(jobs) != 1 || len(jobs[0].Rules) == 0 {
		t.Errorf("%+v, %v after %v, want the job with its rules", jobs, err, server.operations())
	}
}

// rest keeps the poller from looking at its own, at the last poll.
func (s *pollState) rest(t *testing.T, poll int) {
	t.Helper()
	if s.joint != nil && poll == 2 {
		s.joint.rest = time.Now().Add(time.Minute)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		header map[string]string
		body   string
		want   time.Duration
	}{
		"header":           {map[string]string{"Retry-After": "20"}, "", 20 * time.Second},
		"date":             {map[string]string{"Retry-After": "Tue, 01 Jan 2030 12:00:42 GMT"}, "", 42 * time.Second},
		"date, clocks off": {map[string]string{"Retry-After": "Tue, 01 Jan 2030 13:00:42 GMT", "Date": "Tue, 01 Jan 2030 13:00:00 GMT"}, "", 42 * time.Second},
		"counters":         {map[string]string{"RateLimit-Remaining": "100", "RateLimit-Reset": "7", "RateLimit-User-Remaining": "0", "RateLimit-User-Reset": "9"}, "", 9 * time.Second},
		"text":             {nil, `{"errors":[{"message":"You have exceeded your limit. Please try again in 33 seconds."}]}`, 33 * time.Second},
		"text, minutes":    {nil, "Retry after 2 minutes", 2 * time.Minute},
		"nothing":          {nil, "slow down", unsaidRetry},
		"zero":             {map[string]string{"Retry-After": "0"}, "", time.Second},
		"a day":            {map[string]string{"Retry-After": "86400"}, "", budgetWindow},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			response := &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tc.body))}
			for key, value := range tc.header {
				response.Header.Set(key, value)
			}
			if got := retryAfter(response, now); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if rest, _ := io.ReadAll(response.Body); string(rest) != tc.body {
				t.Errorf("the body is now %q", rest)
			}
		})
	}
}

// A 429 stops all requests for as long as it says.
func TestRateLimited(t *testing.T) {
	for name, refusal := range map[string]reply{
		"header": {status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": strconv.Itoa(25)}, body: `{}`},
		"text":   {status: http.StatusTooManyRequests, body: `{"errors":[{"message":"Please try again in 25 seconds."}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, refusal)
			client := clientFor(url, nil)
			_, err := client.Scheduled(t.Context(), unknown)
			problem := problemOf(err)
			if problem == nil || problem.Kind != "rate-limited" || problem.RetryAfter < 24*time.Second {
				t.Fatalf("got %v, %+v", err, problem)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _ = client.Scheduled(ctx, unknown)
			_, _ = client.States(ctx, []string{"a"})
			if len(server.requests) != 1 {
				t.Errorf("%d requests", len(server.requests))
			}
		})
	}
}

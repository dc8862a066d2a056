package webhook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// blocking is a handler that tells when it is entered and leaves when it is told.
type blocking struct {
	entered, leave chan struct{}
	body           chan string
}

func newBlocking() blocking {
	return blocking{make(chan struct{}, 10), make(chan struct{}), make(chan string, 10)}
}

func (b blocking) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b.entered <- struct{}{}
	<-b.leave
	body, _ := io.ReadAll(r.Body)
	b.body <- string(body)
}

// post starts a request and returns where its answer will be.
func post(ctx context.Context, handler http.Handler, body string) <-chan *httptest.ResponseRecorder {
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body)))
		done <- recorder
	}()
	return done
}

func newLimiter(next http.Handler, wait time.Duration) (*limiter, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	limited := Limit(1, NewMetrics(registry, "", time.Now), next).(*limiter)
	limited.wait = wait
	return limited, registry
}

func TestLimitHasReviewsWait(t *testing.T) {
	next := newBlocking()
	limited, _ := newLimiter(next, time.Minute)
	first := post(t.Context(), limited, "first")
	<-next.entered
	second := post(t.Context(), limited, "second")
	eventually(t, "the second review is here", func() bool { return limited.held.Load() == int64(len("first")+len("second")) })
	select {
	case <-next.entered:
		t.Fatal("two reviews are under way")
	case <-time.After(50 * time.Millisecond):
	}
	next.leave <- struct{}{}
	<-next.entered
	next.leave <- struct{}{}
	for _, want := range []string{"first", "second"} {
		if got := <-next.body; got != want {
			t.Errorf("body %q, want %q", got, want)
		}
	}
	for _, answer := range []<-chan *httptest.ResponseRecorder{first, second} {
		if got := (<-answer).Code; got != http.StatusOK {
			t.Errorf("status %d, want 200", got)
		}
	}
	if held := limited.held.Load(); held != 0 {
		t.Errorf("%d bytes are held after all", held)
	}
}

func TestLimitTurnsAway(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	cases := map[string]struct {
		ctx     context.Context
		wait    time.Duration
		maxHeld int64
		body    string
		want    int
	}{
		"waited too long":     {t.Context(), time.Millisecond, 100, "body", http.StatusTooManyRequests},
		"no room":             {t.Context(), time.Minute, 9, "body", http.StatusTooManyRequests},
		"nobody waits for it": {gone, time.Minute, 100, "body", http.StatusTooManyRequests},
		"too large":           {t.Context(), time.Minute, maxHeldBytes, strings.Repeat("a", maxReviewBytes+1), http.StatusRequestEntityTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			next := newBlocking()
			limited, registry := newLimiter(next, tc.wait)
			limited.maxHeld = tc.maxHeld
			first := post(t.Context(), limited, "first.")
			<-next.entered
			answer := <-post(tc.ctx, limited, tc.body)
			if answer.Code != tc.want {
				t.Errorf("status %d, want %d", answer.Code, tc.want)
			}
			if busy := reviewsByOutcome(t, registry)[outcomeBusy]; tc.want == http.StatusTooManyRequests && (busy != 1 || answer.Header().Get("Retry-After") != "1") {
				t.Errorf("%g reviews counted as busy, Retry-After %q, want 1 and 1", busy, answer.Header().Get("Retry-After"))
			}
			close(next.leave)
			if got := (<-first).Code; got != http.StatusOK {
				t.Errorf("first review: status %d, want 200", got)
			}
		})
	}
}

// TestLimitOverHTTP2 has reviews wait whose bodies are more than an HTTP/2
// connection buffers: those whose turn it is must still get theirs.
func TestLimitOverHTTP2(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		_, _ = io.Copy(w, r.Body)
	})
	limited, _ := newLimiter(next, time.Minute)
	server := httptest.NewUnstartedServer(limited)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	body := bytes.Repeat([]byte("a"), 200<<10)
	const reviews = 40
	answers := make(chan error, reviews)
	client := server.Client()
	client.Timeout = 20 * time.Second
	for range reviews {
		go func() {
			response, err := client.Post(server.URL, "application/json", bytes.NewReader(body))
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			answers <- err
		}()
	}
	for range reviews {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
}

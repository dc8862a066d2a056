package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// Load is what is sent to a server at once.
type Load struct {
	// Clients send one review after another, all at the same time.
	Clients, ReviewsPerClient int
	// MaxInFlight is the server's --max-in-flight.
	MaxInFlight int
}

// HTTP serves the contenders in turns over TLS, as the webhook is served, and has
// all clients of the load send the review at once over one HTTP/2 connection, as
// the API server does. Times are those of single reviews, with the time that a
// review waits because others are before it or because it is turned away.
func HTTP(ctx context.Context, contenders []Contender, raw []byte, load Load, rounds int) ([]Result, error) {
	body, err := Review(raw)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(contenders))
	for range rounds {
		for i, contender := range contenders {
			results[i].Name, results[i].RequestBytes = contender.Name, len(body)
			if err := storm(ctx, contender, body, load, &results[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", contender.Name, err)
			}
		}
	}
	for i := range results {
		slices.Sort(results[i].Times)
	}
	return results, nil
}

// storm is one contender's turn.
func storm(ctx context.Context, contender Contender, body []byte, load Load, result *Result) error {
	server := httptest.NewUnstartedServer(webhook.Limit(load.MaxInFlight, contender.Metrics, contender.Webhook))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	client := server.Client()

	// The connection is there before the storm, as the API server's is.
	warm := reviewer{client: client, url: server.URL, body: body}
	if err := warm.review(ctx); err != nil {
		return err
	}
	reviewers := make([]reviewer, load.Clients)
	errs := make([]error, load.Clients)
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range reviewers {
		reviewers[i] = reviewer{client: client, url: server.URL, body: body}
		group.Go(func() {
			<-begin
			for range load.ReviewsPerClient {
				if errs[i] = reviewers[i].review(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	start := time.Now()
	close(begin)
	group.Wait()
	result.Elapsed += time.Since(start)
	for i := range reviewers {
		if errs[i] != nil {
			return errs[i]
		}
		result.Times = append(result.Times, reviewers[i].times...)
		result.TurnedAway += reviewers[i].turnedAway
		result.ResponseBytes = reviewers[i].responseBytes
	}
	return nil
}

// reviewer is one client.
type reviewer struct {
	client        *http.Client
	url           string
	body          []byte
	times         []time.Duration
	responseBytes int
	turnedAway    int
}

// retryAfter is what a busy server asks for; the API server's client does it.
const retryAfter = time.Second

// review sends one review, again when it is turned away.
func (r *reviewer) review(ctx context.Context) error {
	start := time.Now()
	for {
		status, answer, err := r.post(ctx)
		if err != nil {
			return err
		}
		if status == http.StatusTooManyRequests {
			r.turnedAway++
			time.Sleep(retryAfter)
			continue
		}
		if status != http.StatusOK || !bytes.Contains(answer, []byte(`"allowed":true`)) || !bytes.Contains(answer, []byte(`"patch":`)) {
			return fmt.Errorf("status %d: %.300s", status, answer)
		}
		r.times = append(r.times, time.Since(start))
		r.responseBytes = len(answer)
		return nil
	}
}

func (r *reviewer) post(ctx context.Context) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

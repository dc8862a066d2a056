package fault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// page is a true answer of GraphQL with two jobs.
const page = `{"data":{"organization":{"jobs":{"count":2,"edges":[{"node":{"uuid":"a","state":"SCHEDULED"}},{"node":{"uuid":"b","state":"SCHEDULED"}}],"pageInfo":{"hasNextPage":false}},"cluster":{"queue":{"dispatchPaused":false}}}}}`

type fixture struct {
	*testing.T
	script Script
	url    string
	client *http.Client
	calls  atomic.Int64 // that reached the API
	mu     sync.Mutex
	lost   []string
}

// serve serves GraphQL and the Agent API with a script of faults.
func serve(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	truth := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, page)
	})
	lost := func(job, _ string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lost = append(f.lost, job)
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", f.script.Around(GraphQL, truth, lost))
	mux.Handle("/v3/", f.script.Around(Agent, truth, lost))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fixture) add(faults ...Fault) []Fault {
	f.Helper()
	added, err := f.script.Add(faults)
	if err != nil {
		f.Fatal(err)
	}
	return added
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (f *fixture) graphql(operation string) reply {
	return f.send(context.Background(), http.MethodPost, "/graphql", `{"query": "query `+operation+` {organization {id}}"}`)
}

func (f *fixture) send(ctx context.Context, method, path, body string) reply {
	request, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	response, err := f.client.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: string(text), err: err}
}

// TestAnswers has each kind spoil one answer; the next is the truth again.
func TestAnswers(t *testing.T) {
	is := func(status int, text string) func(reply) bool {
		return func(r reply) bool { return r.err == nil && r.status == status && strings.Contains(r.body, text) }
	}
	exactly := func(body string) func(reply) bool {
		return func(r reply) bool { return r.err == nil && r.status == http.StatusOK && r.body == body }
	}
	cases := map[string]struct {
		fault  Fault
		want   func(reply) bool
		calls  int64 // of the API by the spoilt request
		agents bool
	}{
		"status":          {Fault{Kind: Status}, is(500, `{"errors":[{"message":"Internal Server Error"}]}`), 0, false},
		"status and body": {Fault{Kind: Status, Status: 502, Body: "<html>Bad Gateway</html>", Headers: map[string]string{"Content-Type": "text/html"}}, is(502, "<html>"), 0, false},
		"rate limit":      {Fault{Kind: Status, Status: 429, Headers: map[string]string{"Retry-After": "7"}}, func(r reply) bool { return r.status == 429 && r.header.Get("Retry-After") == "7" }, 0, false},
		"status, done":    {Fault{Kind: Status, Status: 504, CarryOut: true}, is(504, "Gateway Timeout"), 1, false},
		"unauthorized":    {Fault{Kind: Unauthorized}, is(401, `{"errors":[{"message":"Authentication required. Please supply`), 0, false},
		"agent's":         {Fault{Kind: Unauthorized}, is(401, `{"message":"Authentication required. Please supply`), 0, true},
		"garbage":         {Fault{Kind: Garbage}, func(r reply) bool { return r.status == 200 && !json.Valid([]byte(r.body)) }, 0, false},
		"reset":           {Fault{Kind: Reset}, func(r reply) bool { return errors.Is(r.err, syscall.ECONNRESET) }, 0, false},
		"reset, done":     {Fault{Kind: Reset, CarryOut: true}, func(r reply) bool { return errors.Is(r.err, syscall.ECONNRESET) }, 1, false},
		"bomb":            {Fault{Kind: Bomb}, func(r reply) bool { return len(r.body) == bombBytes }, 0, false},
		"truncate":        {Fault{Kind: Truncate}, func(r reply) bool { return errors.Is(r.err, io.ErrUnexpectedEOF) && r.body == page[:len(page)/2] }, 1, false},
		"cut":             {Fault{Kind: Cut}, exactly(page[:len(page)/2]), 1, false},
		"slow":            {Fault{Kind: Slow, DelayMilliseconds: 40}, exactly(page), 1, false},
		"delay":           {Fault{Kind: Delay, DelayMilliseconds: 20}, exactly(page), 1, false},
		"duplicates": {Fault{Kind: DuplicateEdges}, func(r reply) bool {
			return strings.Count(r.body, `"uuid":"a"`) == 2 && strings.Count(r.body, `"uuid":"b"`) == 2
		}, 1, false},
		"vanish": {Fault{Kind: Vanish, Jobs: []string{"b"}}, func(r reply) bool {
			return !strings.Contains(r.body, `"uuid":"b"`) && strings.Contains(r.body, `"count":1`)
		}, 1, false},
		"the first": {Fault{Kind: Vanish}, func(r reply) bool {
			return !strings.Contains(r.body, `"uuid":"a"`) && strings.Contains(r.body, `"uuid":"b"`)
		}, 1, false},
		"partial": {Fault{Kind: Partial}, func(r reply) bool {
			return strings.Contains(r.body, `"edges":[null,{"node"`) && strings.Contains(r.body, `"errors":[{"message"`)
		}, 1, false},
		"errors":           {Fault{Kind: Errors}, is(200, `{"data":null,"errors":[{"message":"Something`), 1, false},
		"unknown enum":     {Fault{Kind: UnknownEnum}, func(r reply) bool { return strings.Count(r.body, `"state":"HIBERNATING"`) == 2 }, 1, false},
		"queue paused":     {Fault{Kind: QueuePaused}, is(200, `"dispatchPaused":true`), 1, false},
		"any field at all": {Fault{Kind: Set, Field: "count", Value: json.RawMessage(`"many"`)}, is(200, `"count":"many"`), 1, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t)
			tc.fault.API, tc.fault.Count = GraphQL, 1
			ask := func() reply { return f.graphql("jobs") }
			if tc.agents {
				tc.fault.API = Agent
				ask = func() reply { return f.send(t.Context(), http.MethodGet, "/v3/ping", "") }
			}
			f.add(tc.fault)
			spoilt := ask()
			if !tc.want(spoilt) {
				t.Errorf("status %d, %v: %.300s", spoilt.status, spoilt.err, spoilt.body)
			}
			if calls := f.calls.Load(); calls != tc.calls {
				t.Errorf("the API was called %d times, want %d", calls, tc.calls)
			}
			if again := ask(); again.body != page {
				t.Errorf("the next answer is not the truth: status %d, %v: %.300s", again.status, again.err, again.body)
			}
			if got := f.script.List()[0]; got.Hits != 1 {
				t.Errorf("counts of %+v", got)
			}
		})
	}
}

func TestHang(t *testing.T) {
	f := serve(t)
	f.add(Fault{API: GraphQL, Kind: Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := f.send(ctx, http.MethodPost, "/graphql", "{}"); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("have %+v", got)
	}
}

// TestWhich finds out which requests a fault happens to.
func TestWhich(t *testing.T) {
	f := serve(t)
	ping := func() int { return f.send(t.Context(), http.MethodGet, "/v3/ping", "").status }
	acquire := func(job string) int {
		return f.send(t.Context(), http.MethodPut, "/v3/jobs/"+job+"/acquire", "").status
	}
	added := f.add(
		Fault{API: GraphQL, Operation: "scheduled*", Kind: Status, Status: 503, Skip: 1, Count: 2},
		Fault{API: Agent, Operation: "PUT /v3/jobs/*/acquire", Kind: Status, Status: 500, Count: 1, CarryOut: true},
		Fault{API: Agent, Operation: "/v3/ping", Kind: Status, Status: 502},
	)
	statuses := []int{
		f.graphql("other").status, f.graphql("scheduledJobs").status, f.graphql("scheduledJobs").status, f.graphql("scheduledOnes").status, f.graphql("scheduledJobs").status,
		acquire("j1"), acquire("j2"), ping(), ping(),
	}
	if diff := cmp.Diff([]int{200, 200, 503, 503, 200, 500, 200, 502, 502}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"j1"}, f.lost); diff != "" {
		t.Errorf("jobs whose answer was lost (-want +got):\n%s", diff)
	}
	f.script.Remove(added[2].ID)
	if got := ping(); got != http.StatusOK {
		t.Errorf("status %d after the fault was removed", got)
	}
	hits := map[string]int{}
	for _, fault := range f.script.List() {
		hits[fault.ID] = fault.Hits
	}
	if diff := cmp.Diff(map[string]int{added[0].ID: 2, added[1].ID: 1, added[2].ID: 2}, hits); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}

// TestNothingToSpoil: what could not be spoilt has not happened.
func TestNothingToSpoil(t *testing.T) {
	f := serve(t)
	f.add(
		Fault{API: GraphQL, Kind: Vanish, Jobs: []string{"c"}, Count: 1},
		Fault{API: GraphQL, Kind: Set, Field: "colour", Value: json.RawMessage(`1`), Count: 1},
	)
	for range 2 {
		if got := f.graphql("jobs"); got.body != page {
			t.Errorf("have %+v", got)
		}
	}
	for _, fault := range f.script.List() {
		if fault.Hits != 0 {
			t.Errorf("a hit of %+v", fault)
		}
	}
}

// TestCountAtOnce: of many requests at once exactly so many are spoilt.
func TestCountAtOnce(t *testing.T) {
	f := serve(t)
	f.add(Fault{API: GraphQL, Kind: Status, Count: 7})
	var spoilt atomic.Int64
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if f.graphql("jobs").status == http.StatusInternalServerError {
				spoilt.Add(1)
			}
		})
	}
	group.Wait()
	if spoilt.Load() != 7 || f.calls.Load() != 33 {
		t.Errorf("%d were spoilt, %d reached the API", spoilt.Load(), f.calls.Load())
	}
}

func TestProbability(t *testing.T) {
	f := serve(t)
	f.add(Fault{API: GraphQL, Kind: Status, Probability: 0.5})
	spoilt := 0
	for range 200 {
		if f.graphql("jobs").status != http.StatusOK {
			spoilt++
		}
	}
	if spoilt < 50 || spoilt > 150 {
		t.Errorf("%d of 200 were spoilt", spoilt)
	}
}

func TestAddRefuses(t *testing.T) {
	cases := map[string]struct {
		fault Fault
		want  string
	}{
		"api":         {Fault{API: "soap", Kind: Status}, `unknown api "soap"`},
		"kind":        {Fault{API: GraphQL, Kind: "flood"}, `unknown kind "flood"`},
		"pattern":     {Fault{API: GraphQL, Kind: Status, Operation: "["}, "is not a pattern"},
		"status":      {Fault{API: GraphQL, Kind: Status, Status: 99}, "status 99"},
		"set nothing": {Fault{API: GraphQL, Kind: Set}, "needs field and value"},
		"no delay":    {Fault{API: GraphQL, Kind: Slow}, "needs delay_milliseconds"},
		"probability": {Fault{API: GraphQL, Kind: Status, Probability: 2}, "probability between"},
		"negative":    {Fault{API: GraphQL, Kind: Status, Count: -1}, "must not be negative"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var script Script
			_, err := script.Add([]Fault{{API: GraphQL, Kind: Status}, tc.fault})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
			if len(script.List()) != 0 {
				t.Errorf("half of them were added")
			}
		})
	}
}

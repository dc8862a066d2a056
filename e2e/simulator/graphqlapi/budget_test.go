package graphqlapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fourPoints is a query that costs four.
const fourPoints = `query four {organization(slug: "example") {clusters(first: 1) {edges {node {name}}}}}`

// limitHeaders returns what an answer tells of the limits, in a fixed order.
func limitHeaders(recorder *httptest.ResponseRecorder) string {
	var texts []string
	for _, name := range []string{
		"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-User-Limit", "RateLimit-User-Remaining", "RateLimit-User-Reset",
		"RateLimit-Complexity-Requested", "RateLimit-Complexity-Actual", "Retry-After",
	} {
		value := recorder.Header().Get(name)
		if value == "" {
			value = "-"
		}
		texts = append(texts, value)
	}
	return strings.Join(texts, " ")
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.handler.SetLimits(Limits{Organization: 14, User: 8})
		f.handler.budget.add("better")
		send := func(token string, status int, headers, text string) {
			t.Helper()
			recorder := f.send(token, fourPoints, nil, nil)
			if recorder.Code != status || !strings.Contains(recorder.Body.String(), text) {
				t.Errorf("status %d, want %d with %q: %s", recorder.Code, status, text, recorder.Body)
			}
			if diff := cmp.Diff(headers, limitHeaders(recorder)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		}
		send("good", 200, "14 10 300 8 4 300 4 4 -", `"data"`)
		time.Sleep(100 * time.Second)
		send("good", 200, "14 6 200 8 0 200 4 4 -", `"data"`)
		send("good", 429, "14 6 200 8 0 200 0 0 200",
			`{"errors":[{"message":"You have exceeded your per-user limit of 8 complexity points. Please try again in 200 seconds."}]}`)
		// Another user has points of their own, out of the same organization's.
		send("better", 200, "14 2 200 8 4 300 4 4 -", `"data"`)
		// The last query may go over the limit: its cost is known afterwards.
		send("better", 200, "14 0 200 8 0 300 4 4 -", `"data"`)
		f.handler.budget.add("best")
		send("best", 429, "14 0 200 8 8 300 0 0 200",
			`{"errors":[{"message":"Your organization has exceeded the limit of 14 complexity points. Please try again in 200 seconds."}]}`)
		time.Sleep(199 * time.Second)
		send("good", 429, "14 0 1 8 0 1 0 0 1", "in 1 seconds.")
		time.Sleep(time.Second)
		send("good", 200, "14 10 300 8 4 300 4 4 -", `"data"`)

		usage := f.handler.Usage()
		got := []any{usage.Organization.Points, usage.Organization.Refused, usage.Users[0].Points, usage.Users[0].Refused, usage.Users[0].Peak, usage.Users[0].Operations["four"]}
		if diff := cmp.Diff([]any{20, 3, 12, 2, 8, Operation{Requests: 3, Points: 12, Requested: 4}}, got); diff != "" {
			t.Errorf("usage (-want +got):\n%s", diff)
		}
	})
}

func TestBudgetOptions(t *testing.T) {
	f := newFixture(t)
	if diff := cmp.Diff("- - - - - - - - -", limitHeaders(f.send("good", fourPoints, nil, nil))); diff != "" {
		t.Errorf("without limits (-want +got):\n%s", diff)
	}
	f.handler.SetLimits(Limits{User: 4, NoRetryAfter: true, WindowSeconds: 10})
	if diff := cmp.Diff("- - - 4 0 10 4 4 -", limitHeaders(f.send("good", fourPoints, nil, nil))); diff != "" {
		t.Errorf("for users only (-want +got):\n%s", diff)
	}
	refused := f.send("good", fourPoints, nil, nil)
	if refused.Code != http.StatusTooManyRequests || refused.Header().Get("Retry-After") != "" {
		t.Errorf("status %d, headers %v", refused.Code, refused.Header())
	}
	// New limits begin new windows.
	f.handler.SetLimits(Limits{User: 5})
	if again := f.send("good", fourPoints, nil, nil); again.Code != http.StatusOK {
		t.Errorf("status %d: %s", again.Code, again.Body)
	}
	published := PublishedLimits()
	if diff := cmp.Diff([]int{50_000, 20_000, 5_000, 300}, []int{published.Query, published.Organization, published.User, published.WindowSeconds}); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

// TestBudgetAtOnce has many pollers use one token at once: no point is lost.
func TestBudgetAtOnce(t *testing.T) {
	f := newFixture(t)
	f.handler.SetLimits(Limits{User: 200})
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			for range 5 {
				f.send("good", fourPoints, nil, nil)
			}
		})
	}
	group.Wait()
	usage := f.handler.Usage().Users[0]
	if usage.Requests != 200 || usage.Points != 4*(usage.Requests-usage.Refused) || usage.Remaining != 0 {
		t.Errorf("usage %+v", usage)
	}
	// Requests in hand when the limit is reached are carried out, no others.
	if usage.Points < 200 || usage.Points > 200+4*40 {
		t.Errorf("%d points of 200", usage.Points)
	}
}

func TestTokens(t *testing.T) {
	f := newFixture(t)
	status := func(token string) int { return f.send(token, `{viewer {user {name}}}`, nil, nil).Code }
	if err := f.handler.SetToken("none", true); err == nil {
		t.Error("an unknown token was revoked")
	}
	for _, step := range []struct {
		token   string
		revoked bool
		good    int
		next    int
	}{
		{"next", false, 200, 200},
		{"good", true, 401, 200},
		{"next", true, 401, 401},
		{"good", false, 200, 401},
	} {
		if err := f.handler.SetToken(step.token, step.revoked); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{step.good, step.next}, []int{status("good"), status("next")}); diff != "" {
			t.Errorf("after %+v (-want +got):\n%s", step, diff)
		}
	}
	if got := f.send("good", `{viewer {user {name email}}}`, nil, nil).Body.String(); !strings.Contains(got, "Simulated Person 1") {
		t.Error(got)
	}
}

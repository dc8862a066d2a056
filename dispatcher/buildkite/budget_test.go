package buildkite

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// answered lets the budget see an answer of a user with 5,000 points.
func answered(b *budget, cost, remaining, reset int) {
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	for name, value := range map[string]int{
		"RateLimit-Complexity-Actual": cost, "RateLimit-User-Limit": 5000, "RateLimit-User-Remaining": remaining, "RateLimit-User-Reset": reset,
	} {
		response.Header.Set(name, strconv.Itoa(value))
	}
	b.observe(response)
}

// Another program with the same token uses up the points: nothing is asked until
// the window ends, and the operator hears of it.
func TestHardReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(0)
		answered(b, 2, 4000, 200)
		if err := b.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		answered(b, 2, 990, 120)
		problem := problemOf(b.wait(t.Context()))
		if problem == nil || problem.Kind != "budget" || problem.RetryAfter < 120*time.Second || problem.RetryAfter > 120*time.Second+idleGrace {
			t.Fatalf("got %+v", problem)
		}
		time.Sleep(problem.RetryAfter)
		if err := b.wait(t.Context()); err != nil {
			t.Errorf("in the next window: %v", err)
		}
	})
}

func TestNoLimitNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(0)
		for range 10_000 {
			b.observe(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}})
		}
		if pause := b.pause(time.Now()); pause != 0 {
			t.Errorf("waits %s although no answer tells of points", pause)
		}
	})
}

func TestBudgetState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := clientFor("http://127.0.0.1:1", nil)
		if state := client.Budget(); state.Limit != 0 || state.Used != 0 {
			t.Errorf("before any answer: %+v", state)
		}
		left := 5000
		for range 60 {
			left -= 20
			answered(client.budget, 20, left, 300-(5000-left)/20)
			client.budget.found(4)
			time.Sleep(time.Second)
		}
		state, use := client.Budget(), client.Use()
		if state.Left != 3800 || state.Limit != 5000 || state.Used != 1200 || state.PerSecond < 15 || state.PerSecond > 25 {
			t.Errorf("%+v", state)
		}
		if use.PointsPerJob != 5 || use.JobsPerSecond <= 0 || use.JobsPerSecond > 4 {
			t.Errorf("%+v", use)
		}
		// 20 points a second, and 2,500 are left above the reserve.
		if use.Exhausted < 100*time.Second || use.Exhausted > 150*time.Second {
			t.Errorf("lasts %s", use.Exhausted)
		}
	})
}

func TestBirths(t *testing.T) {
	var b births
	moment := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * maxBirths {
		if !b.add(strconv.Itoa(i), moment) || b.add(strconv.Itoa(i), moment) {
			t.Fatalf("job %d: new once, and once only", i)
		}
	}
	if _, isKnown := b.of(strconv.Itoa(3*maxBirths - 1)); !isKnown || len(b.recent)+len(b.past) > 2*maxBirths {
		t.Errorf("%d births are remembered, the last: %v", len(b.recent)+len(b.past), isKnown)
	}
}

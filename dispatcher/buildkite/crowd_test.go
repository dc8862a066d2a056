package buildkite

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Of many jobs that were created in the same second each poll lists those that came
// after them. What may have come to light late among them is looked for less often.
func TestCrowdIsNotListedWithEachPoll(t *testing.T) {
	const many = crowd + 5
	uuids := make([]string, many)
	for i := range uuids {
		uuids[i] = fmt.Sprintf("job%d", many-i)
	}
	priced := func(answer reply, points int) reply {
		answer.header = map[string]string{
			"RateLimit-Limit": "2000000", "RateLimit-Remaining": "1800000", "RateLimit-Reset": "300",
			"RateLimit-Complexity-Actual": fmt.Sprint(points),
		}
		return answer
	}
	server, url := serve(t, priced(listed(many, uuids...), pageCost+many*jobCost),
		priced(counted(many+1), 2), priced(listed(many+1, "newer"), 5),
		priced(counted(many+2), 2), priced(listed(many+2), 3),
		priced(counted(many+3), 2), priced(listed(1, "late"), 5))
	client := clientFor(url, nil)
	poll := func(want int) map[string]any {
		t.Helper()
		jobs, err := client.Scheduled(t.Context(), unknown)
		if len(jobs) != want || err != nil {
			t.Fatalf("%d jobs, error %v; want %d", len(jobs), err, want)
		}
		return server.requests[len(server.requests)-1].Variables
	}
	poll(many)
	for i, before := range []string{"at-" + uuids[0], "at-newer"} {
		if asked := poll(many + 1); asked["before"] != before || asked["createdAtFrom"] != nil {
			t.Errorf("poll %d: asked for %v, want those before %s", i+1, asked, before)
		}
	}
	client.poll.joint.overlapRest = time.Now()
	if asked := poll(many + 2); asked["before"] != nil || asked["createdAtFrom"] == nil {
		t.Errorf("asked for %v, want those of the last second again", asked)
	}
	if operations := server.operations(); slices.Index(operations, "countJobs") != 1 {
		t.Errorf("asked for %v", operations)
	}
}

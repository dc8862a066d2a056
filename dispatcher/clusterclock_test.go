package dispatcher

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestClusterClock(t *testing.T) {
	asked := at(100)
	for name, tc := range map[string]struct {
		date     time.Time
		answered time.Time
		want     time.Duration
	}{
		"the same":                {at(100), asked.Add(300 * time.Millisecond), 0},
		"cut to the second":       {at(99), asked.Add(-time.Millisecond), 0},
		"a minute ahead":          {at(160), asked.Add(time.Second), 59 * time.Second},
		"a minute behind":         {at(40), asked.Add(time.Second), -59 * time.Second},
		"too slow to tell by":     {at(160), asked.Add(6 * time.Second), 0},
		"ahead, and a slow start": {at(160), asked.Add(5 * time.Second), 55 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &ClusterClock{}
			clock.observe(tc.date, asked, tc.answered)
			if got := time.Duration(clock.ahead.Load()); got != tc.want {
				t.Errorf("ahead by %s, want %s", got, tc.want)
			}
		})
	}
}

// Times in pods are told in the program's own, and go on evenly: they have a
// monotonic part.
func TestLocalTimes(t *testing.T) {
	clock := &ClusterClock{}
	now := time.Now()
	clock.observe(now.Add(10*time.Minute).Truncate(time.Second), now, now)
	pod := jobPod("a", testController)
	pod.CreationTimestamp.Time = now.Add(10*time.Minute - 30*time.Second).Round(0)
	created := localRecord(pod, clock).CreationTimestamp.Time
	if age := time.Since(created); age < 25*time.Second || age > 35*time.Second {
		t.Errorf("a pod of 30 s is taken for one of %s", age)
	}
	if created == created.Round(0) { //nolint:staticcheck // Round takes the monotonic part away
		t.Error("the time is that of a clock that may be set")
	}
	var nobody *ClusterClock
	if got := localRecord(pod, nobody).CreationTimestamp; !got.Equal(&pod.CreationTimestamp) {
		t.Errorf("without a clock: %s", got)
	}
}

// The clock is read off the answers of the real client's transport.
func TestClockOfAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	clock := &ClusterClock{}
	config := &rest.Config{Host: server.URL}
	config.Wrap(clock.Wrap)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPodClient(client, clock).Read(t.Context(), "jobs", "x"); err == nil {
		t.Fatal("no error")
	}
	if behind := -time.Duration(clock.ahead.Load()); behind < time.Hour-time.Minute || behind > time.Hour+time.Minute {
		t.Errorf("behind by %s, want an hour", behind)
	}
}

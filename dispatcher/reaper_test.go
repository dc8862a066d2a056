package dispatcher

import (
	"cmp"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

func TestReaper(t *testing.T) {
	const ttl = 10 * time.Minute
	cases := map[string]struct {
		pod   PodRecord
		state JobState
		// owner is the controller's id; empty means ours.
		owner string
		after time.Duration
		gone  bool
	}{
		"finished just now":               {PodRecord{Finished: true, Injected: true}, "FINISHED", "", ttl - time.Minute, false},
		"finished long ago":               {PodRecord{Finished: true, Injected: true}, "FINISHED", "", ttl + time.Minute, true},
		"finished, somebody else's":       {PodRecord{Finished: true, Injected: true}, "FINISHED", "other", ttl + time.Hour, false},
		"running":                         {PodRecord{Started: true, Injected: true}, "RUNNING", "", time.Hour, false},
		"running, cancelled":              {PodRecord{Started: true, Injected: true}, StateCanceled, "", time.Hour, false},
		"waiting, scheduled":              {PodRecord{Injected: true}, StateScheduled, "", time.Hour, false},
		"waiting, running says Buildkite": {PodRecord{Injected: true}, "RUNNING", "", time.Hour, false},
		"waiting, cancelled":              {PodRecord{Injected: true}, StateCanceled, "", 20 * time.Second, true},
		"waiting, expired":                {PodRecord{Injected: true}, StateExpired, "", 20 * time.Second, true},
		"waiting, unknown job":            {PodRecord{Injected: true}, "", "", time.Hour, false},
		"gated a moment":                  {PodRecord{Gated: true}, StateScheduled, "", 10 * time.Second, false},
		"gated for long":                  {PodRecord{Gated: true}, StateScheduled, "", 30 * time.Second, true},
		"without gate and receipt":        {PodRecord{}, StateScheduled, "", 30 * time.Second, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			simulate(t, w, Limits{JobTTL: ttl}, func(t *testing.T, _ *Dispatcher) {
				uuid := "01920000-0000-4000-8000-000000000009"
				pod := tc.pod
				pod.ObjectMeta = metav1.ObjectMeta{
					Name: jobpod.PodName(uuid), Namespace: "jobs", UID: "x", CreationTimestamp: metav1.Now(),
				}
				pod.job, pod.controllerID = uuid, cmp.Or(tc.owner, testController)
				if pod.Finished {
					pod.FinishedAt = time.Now()
				}
				w.change(func() {
					w.pods[pod.Name] = &pod
					if tc.state != "" {
						w.states[uuid] = tc.state
					}
				})
				pass(tc.after)
				if gone := w.pods[pod.Name] == nil; gone != tc.gone {
					t.Errorf("gone: %v, want %v", gone, tc.gone)
				}
			})
		})
	}
}

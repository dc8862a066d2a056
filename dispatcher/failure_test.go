package dispatcher

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// An earlier leader's attempts count: the pod says which of its job's it is.
func TestAttemptsSurviveALeader(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	for attempt := 1; attempt <= 3; attempt++ {
		simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
			pass(20 * time.Second)
			if w.pods[jobpod.PodName(uuid)] == nil {
				t.Fatalf("no pod for attempt %d", attempt)
			}
			if got := w.pods[jobpod.PodName(uuid)].Attempt; got != attempt {
				t.Errorf("attempt %d, want %d", got, attempt)
			}
			w.end(uuid, 1, false)
			if attempt < 3 {
				// The next pod is made before the leader goes.
				pass(20 * time.Second)
			}
		})
	}
	simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		pass(20 * time.Second)
		if w.failed[uuid].ExitStatus != ExitNeverRan || w.creations != 3 {
			t.Errorf("failed %+v after %d pods", w.failed[uuid], w.creations)
		}
	})
}

// An agent that ends before it has the job leaves its last words in the job.
func TestAgentLogReachesTheJob(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	w.log = "fatal: token bkct_0123456789abcdef and s3cr3t-token are invalid"
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		d.Redact = newRedactor([]func() (string, error){
			func() (string, error) { return "s3cr3t-token", nil },
			func() (string, error) { return "", errors.New("gone") },
			func() (string, error) { return "al", nil },
		})
		for range maxEnded {
			pass(20 * time.Second)
			w.end(uuid, 1, false)
		}
		pass(20 * time.Second)
		log := w.failed[uuid].Log()
		if !strings.Contains(log, "fatal: token [REDACTED] and [REDACTED] are invalid") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// The containers run, and the agent does not take the job.
func TestSilentAgent(t *testing.T) {
	w := newWorld()
	silent, healthy := w.schedule(1, 0), w.schedule(2, 0)
	w.log = "trying to connect"
	simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		w.change(func() {
			for _, uuid := range []string{silent, healthy} {
				pod := w.pods[jobpod.PodName(uuid)]
				pod.Started, pod.StartedAt = true, time.Now()
			}
			w.states[healthy] = "RUNNING"
		})
		pass(9 * time.Minute)
		if len(w.failed) != 0 {
			t.Fatalf("failed too soon: %v", w.failed)
		}
		pass(90 * time.Second)
		failure := w.failed[silent]
		if failure.ExitStatus != ExitNeverRan || failure.Cause != CauseAgentSilent || !strings.Contains(failure.Log(), "trying to connect") {
			t.Errorf("failed with %+v", failure)
		}
		if w.pods[jobpod.PodName(silent)] != nil || w.pods[jobpod.PodName(healthy)] == nil || len(w.failed) != 1 {
			t.Errorf("pods of %v, failed %v", w.podUUIDs(), w.failed)
		}
	})
}

// A listing that is older than the agent's first word does not cost the job.
func TestStaleListingAccusesNoAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		uuid := w.schedule(1, 0)
		d := dispatcherIn(w, Limits{})
		d.start(t.Context(), d.queues[0], w.jobs[uuid])
		d.work.Wait()
		pod := w.pods[jobpod.PodName(uuid)]
		pod.Started, pod.StartedAt = true, time.Now().Add(-time.Hour)
		if !d.known(uuid) {
			t.Fatal("a job with a pod is unknown")
		}
		w.states[uuid] = "RUNNING"
		(&reaper{dispatcher: d}).sweep(t.Context())
		d.work.Wait()
		if w.failCalls != 0 || w.pods[jobpod.PodName(uuid)] == nil {
			t.Errorf("tried to fail it %d times", w.failCalls)
		}
	})
}

// With queues that other clusters serve too, what is only this cluster's trouble
// leaves the job to them, and what no cluster can run fails.
func TestSharedQueue(t *testing.T) {
	w := newWorld()
	small := w.schedule(1, 0)
	w.refusals[small] = refusal(403, "exceeded quota: q, requested: memory=2Gi, used: memory=0, limited: memory=1Gi")
	nowhere := w.inTrouble(2, Trouble{Cause: CauseUnschedulable, Message: "0/3 nodes"})
	wrong := w.inTrouble(3, Trouble{Cause: CauseImageName, Container: "build", Permanent: true})
	bad := w.schedule(4, 0)
	w.refusals[bad] = refusal(400, `unknown field "spec.x"`)
	simulate(t, w, Limits{SharedQueues: true}, func(t *testing.T, _ *Dispatcher) {
		pass(20 * time.Minute)
		for _, uuid := range []string{small, nowhere} {
			if w.states[uuid] != StateScheduled {
				t.Errorf("job %s is not left to others: %+v", uuid, w.failed[uuid])
			}
		}
		for _, uuid := range []string{wrong, bad} {
			if w.failed[uuid].ExitStatus == 0 {
				t.Errorf("job %s is left to others", uuid)
			}
		}
		if w.creations > 12 {
			t.Errorf("%d creations in twenty minutes", w.creations)
		}
	})
}

func TestCompatibleStatus(t *testing.T) {
	w := newWorld()
	uuid := w.inTrouble(1, Trouble{Cause: CauseImageName, Container: "build", Permanent: true})
	simulate(t, w, Limits{CompatibleStatus: true}, func(t *testing.T, _ *Dispatcher) {
		pass(time.Minute)
		failure := w.failed[uuid]
		if failure.ExitStatus != -1 || failure.Cause != CauseImageName || !strings.Contains(failure.Log(), "Exit status -1 ") {
			t.Errorf("failed with %+v", failure)
		}
	})
}

// How long unknown refusals are borne is for the operators to say.
func TestPatienceIsConfigurable(t *testing.T) {
	w := newWorld()
	unknown, missing := w.schedule(1, 0), w.schedule(2, 0)
	w.refusals[unknown] = refusal(403, "no such luck")
	w.refusals[missing] = refusal(403, `error looking up service account jobs/x: serviceaccount "x" not found`)
	always := w.schedule(3, 0)
	w.refusals[always] = refusal(403, `serviceaccount "default" not found`)
	limits := Limits{Patience: DefaultPatience}
	limits.Patience.Unknown, limits.Patience.Missing = time.Minute, 5*time.Minute
	simulate(t, w, limits, func(t *testing.T, _ *Dispatcher) {
		pass(3 * time.Minute)
		if len(w.failed) != 1 || w.failed[unknown].Cause != CauseForbidden {
			t.Errorf("after 3 minutes failed %v", w.failed)
		}
		pass(30 * time.Minute)
		if len(w.failed) != 2 || w.failed[missing].Cause != CauseServiceAccount {
			t.Errorf("after half an hour failed %v", w.failed)
		}
	})
}

package dispatcher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/record"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// inBuild puts a job into a build.
func (w *world) inBuild(uuid, build string) string {
	w.change(func() {
		job := w.jobs[uuid]
		job.URL = "https://buildkite.test/jobs/" + uuid
		job.Env = append(job.Env, buildUUIDVariable+"="+build, buildURLVariable+"=https://buildkite.test/acme/app/builds/1")
		w.jobs[uuid] = job
	})
	return uuid
}

var noticed = Limits{AnnotateAfter: 30 * time.Second, JobTTL: 2 * time.Hour}

// What a job waits for shows on its build after half a minute, in the author's
// words, and goes away when it runs.
func TestWaitingShowsOnTheBuild(t *testing.T) {
	quota := refusal(403, "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2")
	cases := map[string]struct {
		begin, end func(w *world, uuid string)
		words      string
	}{
		"quota": {
			func(w *world, uuid string) { w.refusals[uuid] = quota },
			func(w *world, uuid string) { delete(w.refusals, uuid) },
			"room in the namespace's quota",
		},
		"mutator missing": {
			func(w *world, _ string) { w.bypassed = true },
			func(w *world, _ string) { w.bypassed = false },
			"waits for the cluster to take pods again",
		},
		"no node": {
			func(w *world, uuid string) {
				w.troubles[uuid] = &Trouble{Cause: CauseUnschedulable, Message: "0/3 nodes are available: 3 Insufficient `cpu`."}
			},
			func(w *world, uuid string) { w.pods[jobpod.PodName(uuid)].Trouble = nil },
			"waits for a node that can take its pod, since 00:00:00 UTC. The cluster says: `0/3 nodes are available: 3 Insufficient 'cpu'.`",
		},
		"pulling": {
			func(w *world, uuid string) { w.troubles[uuid] = &Trouble{Cause: CausePending} },
			func(*world, string) {},
			"an image is being pulled",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.inBuild(w.schedule(1, 0), "b1")
			tc.begin(w, uuid)
			simulate(t, w, noticed, func(t *testing.T, _ *Dispatcher) {
				pass(25 * time.Second)
				if note := w.noteOf("b1", "waiting"); note != "" {
					t.Errorf("annotated too soon: %s", note)
				}
				pass(15 * time.Second)
				note := w.noteOf("b1", "waiting")
				if !strings.Contains(note, tc.words) || !strings.Contains(note, "[This job](https://buildkite.test/jobs/"+uuid+")") {
					t.Errorf("annotation %q lacks %q", note, tc.words)
				}
				writes := w.noteWrites
				pass(10 * time.Minute)
				if w.noteWrites != writes {
					t.Errorf("%d changes of an annotation that says the same", w.noteWrites-writes)
				}
				w.change(func() { tc.end(w, uuid) })
				pass(40 * time.Second)
				w.change(func() { w.pods[jobpod.PodName(uuid)].Started = true })
				pass(10 * time.Second)
				if note := w.noteOf("b1", "waiting"); note != "" {
					t.Errorf("still annotated although it runs: %s", note)
				}
			})
		})
	}
}

func TestWaitingForCapacityShows(t *testing.T) {
	w := newWorld()
	first, second := w.inBuild(w.schedule(1, 9), "b1"), w.inBuild(w.schedule(2, 0), "b2")
	limits := noticed
	limits.MaxInFlight = 1
	simulate(t, w, limits, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		w.change(func() { w.pods[jobpod.PodName(first)].Started = true })
		pass(55 * time.Second)
		if note := w.noteOf("b2", "waiting"); !strings.Contains(note, "waits for other jobs of the queue to end") {
			t.Errorf("annotation %q", note)
		}
		if note := w.noteOf("b1", "waiting"); note != "" {
			t.Errorf("the running job's build says %q", note)
		}
		// Withdrawn while it waits: the listing lacks it.
		w.change(func() { w.states[second] = StateCanceled })
		pass(time.Minute)
		if note := w.noteOf("b2", "waiting"); note != "" {
			t.Errorf("a cancelled job's build says %q", note)
		}
	})
}

// One annotation for each build, changed once a minute at most, and not more
// than a few builds' in a minute.
func TestAnnotationsAreBounded(t *testing.T) {
	w := newWorld()
	w.bypassed = true
	for i := range 40 {
		w.inBuild(w.schedule(i%60, 0), "same")
	}
	simulate(t, w, Limits{AnnotateAfter: 30 * time.Second, MaxInFlight: 100}, func(t *testing.T, _ *Dispatcher) {
		pass(15 * time.Minute)
		if w.noteWrites > 16 {
			t.Errorf("%d changes in a quarter of an hour", w.noteWrites)
		}
		note := w.noteOf("same", "waiting")
		if lines := strings.Count(note, "\n- "); lines != maxNoteJobs+1 || !strings.Contains(note, "more") {
			t.Errorf("%d lines:\n%s", lines, note)
		}
	})
}

func TestAnnotationsOfManyBuildsAreBounded(t *testing.T) {
	w := newWorld()
	for i := range 200 {
		uuid := w.schedule(i, 0)
		w.inBuild(uuid, uuid)
		w.refusals[uuid] = refusal(403, "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2")
	}
	simulate(t, w, Limits{AnnotateAfter: 30 * time.Second}, func(t *testing.T, _ *Dispatcher) {
		pass(3 * time.Minute)
		if w.noteWrites > 3*notesPerMinute || w.noteWrites < notesPerMinute {
			t.Errorf("%d changes in three minutes", w.noteWrites)
		}
	})
}

// Buildkite refuses annotations: nothing else suffers, and no storm follows.
func TestAnnotationsThatFail(t *testing.T) {
	w := newWorld()
	held, good := w.inBuild(w.schedule(1, 0), "b1"), w.schedule(2, 0)
	w.annotating = errors.New("no permission")
	w.refusals[held] = refusal(403, "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2")
	simulate(t, w, noticed, func(t *testing.T, d *Dispatcher) {
		pass(10 * time.Minute)
		if w.noteWrites < 5 || w.noteWrites > 11 || w.pods[jobpod.PodName(good)] == nil || d.problems.any() != "" {
			t.Errorf("%d tries in ten minutes, problem %q", w.noteWrites, d.problems.any())
		}
	})
}

// A leader that died left an annotation; the job that it was about runs now.
func TestAnnotationOfAnEarlierLeader(t *testing.T) {
	w := newWorld()
	uuid := w.inBuild(w.schedule(1, 0), "b1")
	left := "b1 agent-stack-k8s-waiting-" + testController
	w.notes[left] = "**Waiting**"
	simulate(t, w, noticed, func(t *testing.T, _ *Dispatcher) {
		w.change(func() {
			job := w.jobs[uuid]
			job.ScheduledAt = time.Now().Add(-time.Hour)
			w.jobs[uuid] = job
		})
		pass(5 * time.Second)
		w.change(func() { w.pods[jobpod.PodName(uuid)].Started = true })
		pass(10 * time.Second)
		if w.notes[left] != "" {
			t.Error("the annotation is still there")
		}
	})
}

func TestLossShowsOnTheBuild(t *testing.T) {
	w := newWorld()
	lost, early := w.inBuild(w.schedule(1, 0), "b1"), w.inBuild(w.schedule(2, 0), "b2")
	simulate(t, w, noticed, func(t *testing.T, d *Dispatcher) {
		pass(3 * time.Second)
		w.change(func() {
			w.states[lost] = "RUNNING"
			for _, uuid := range []string{lost, early} {
				pod := w.pods[jobpod.PodName(uuid)]
				pod.Started = true
				pod.Loss = &Trouble{Cause: CauseOutOfMemory, Container: "build", Message: "its memory limit is 1Gi"}
			}
		})
		pass(10 * time.Second)
		note := w.noteOf("b1", "lost")
		for _, words := range []string{"container build", "its memory limit is 1Gi", "jobs/" + lost} {
			if !strings.Contains(note, words) {
				t.Errorf("annotation %q lacks %q", note, words)
			}
		}
		if note := w.noteOf("b2", "lost"); note != "" {
			t.Errorf("a job that never ran is called lost: %q", note)
		}
		writes := w.noteWrites
		pass(30 * time.Minute)
		if w.noteOf("b1", "lost") == "" || w.noteWrites != writes {
			t.Errorf("%d more changes", w.noteWrites-writes)
		}
		_ = d
	})
}

// A pod that is evicted and gone between two looks is told of all the same.
func TestLossOfAPodThatIsGone(t *testing.T) {
	w := newWorld()
	lost := w.inBuild(w.schedule(1, 0), "b1")
	simulate(t, w, noticed, func(t *testing.T, _ *Dispatcher) {
		pass(3 * time.Second)
		w.change(func() {
			w.states[lost] = "FINISHED"
			pod := *w.pods[jobpod.PodName(lost)]
			delete(w.pods, pod.Name)
			delete(w.jobs, lost)
			pod.Started, pod.Loss = true, &Trouble{Cause: CauseDrained, Platform: true}
			w.lost = append(w.lost, &pod)
		})
		pass(10 * time.Second)
		if note := w.noteOf("b1", "lost"); !strings.Contains(note, "evicted") {
			t.Errorf("annotation %q", note)
		}
	})
}

// Buildkite does not answer when it is asked whether a lost job had begun, and
// the build was annotated a moment ago: the loss is told of later.
func TestLossThatIsToldLate(t *testing.T) {
	w := newWorld()
	lost := w.inBuild(w.schedule(1, 0), "b1")
	simulate(t, w, noticed, func(t *testing.T, _ *Dispatcher) {
		pass(3 * time.Second)
		w.change(func() {
			delete(w.states, lost)
			w.asking = errors.New("no answer")
			pod := *w.pods[jobpod.PodName(lost)]
			delete(w.pods, pod.Name)
			delete(w.jobs, lost)
			pod.Started, pod.Loss = true, &Trouble{Cause: CauseDrained, Platform: true}
			w.lost = append(w.lost, &pod)
			w.annotating = &Problem{Kind: "annotations", RetryAfter: 20 * time.Second}
		})
		pass(time.Minute)
		if w.noteWrites > 0 {
			t.Errorf("%d annotations about a job of which nothing is known", w.noteWrites)
		}
		w.change(func() { w.states[lost], w.asking = "FINISHED", nil })
		pass(6 * time.Second)
		w.change(func() { w.annotating = nil })
		pass(26 * time.Second)
		if note := w.noteOf("b1", "lost"); !strings.Contains(note, "evicted") {
			t.Errorf("annotation %q", note)
		}
	})
}

func TestEventsOnPods(t *testing.T) {
	w := newWorld()
	w.inTrouble(1, Trouble{Cause: CauseImageMissing, Container: "build", Image: "none:1", Permanent: true})
	w.inTrouble(2, Trouble{Cause: CauseUnschedulable, Message: "0/3 nodes"})
	simulate(t, w, noticed, func(t *testing.T, d *Dispatcher) {
		pass(5 * time.Minute)
		var events []string
		recorder := d.Events.(*record.FakeRecorder)
		for len(recorder.Events) > 0 {
			events = append(events, <-recorder.Events)
		}
		all := strings.Join(events, "\n")
		if strings.Count(all, eventWaiting+" the job waits for a node") != 1 || strings.Count(all, eventGivenUp) != 1 {
			t.Errorf("events:\n%s", all)
		}
	})
}

// A text of the cluster's, with names that an author chose, stays a text.
func TestNoteText(t *testing.T) {
	w := wait{ref: jobRef{uuid: "u"}, queue: &queue{name: "a"}, cause: CauseUnschedulable, words: "x`<b>\n# y" + strings.Repeat("z", 1000)}
	text := waitingText([]wait{w})
	if strings.Count(text, "`")%2 != 0 || strings.Contains(text, "\n#") || len(text) > 700 {
		t.Errorf("%s", text)
	}
	lost := lostText([]*loss{{ref: jobRef{url: "https://x) <b>"}, pod: &PodRecord{Loss: &Trouble{Cause: CauseOutOfMemory, Container: "<img>[x](y)"}}}})
	if strings.Contains(lost, "<") || strings.Contains(lost, " [x](y)") {
		t.Errorf("%s", lost)
	}
}

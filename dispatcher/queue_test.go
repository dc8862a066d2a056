package dispatcher

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// scheduleFor adds a job of a queue.
func (w *world) scheduleFor(queue string, number, priority int) string {
	uuid := w.schedule(number, priority)
	w.change(func() {
		job := w.jobs[uuid]
		job.Rules = []string{"queue=" + queue}
		w.jobs[uuid] = job
	})
	return uuid
}

// podsOf counts a queue's pods.
func (w *world) podsOf(queue string) int {
	count := 0
	for _, pod := range w.Own() {
		if pod.Queue == queue {
			count++
		}
	}
	return count
}

func twoQueues(w *world) {
	w.queues = []Queue{testQueue(w, "small"), testQueue(w, "large")}
}

func TestEachQueueHasItsOwnSettings(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	w.queues[1].Pods.Namespace, w.queues[1].Pods.AgentImage = "large-jobs", "agents.test/agent:5"
	large := w.scheduleFor("large", 1, 0)
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		if pod := w.pods[jobpod.PodName(large)]; pod == nil || pod.Namespace != "large-jobs" || pod.Queue != "large" {
			t.Errorf("pod %+v", pod)
		}
		if image := w.submitted.GetAnnotations()[contract.AgentImageAnnotation]; image != "agents.test/agent:5" {
			t.Errorf("agent image %q", image)
		}
	})
}

// A job belongs to the first queue whose tags meet all of its rules.
func TestFirstQueueThatMeetsAllRules(t *testing.T) {
	w := newWorld()
	w.queues = []Queue{testQueue(w, "a"), testQueue(w, "b"), testQueue(w, "c")}
	w.queues[1].Pods.Tags = append(w.queues[1].Pods.Tags, jobpod.Tag{Key: "os", Value: "linux"})
	w.queues[2].Pods.Tags = append(w.queues[2].Pods.Tags, jobpod.Tag{Key: "os", Value: "linux"})
	d := dispatcherIn(w, Limits{})
	for want, rules := range map[string][]string{"a": {"queue=*"}, "b": {"os=linux"}, "c": {"queue=c", "os=linux"}, "": {"queue=a", "os=linux"}} {
		got := ""
		if q := d.queueFor(jobpod.Job{Rules: rules}); q != nil {
			got = q.name
		}
		if got != want {
			t.Errorf("%v goes to %q, want %q", rules, got, want)
		}
	}
}

func TestCapacityOfEachQueueAndOfAll(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	w.queues[0].MaxInFlight = 2
	for i := range 20 {
		w.scheduleFor("small", i, 9)
		w.scheduleFor("large", 20+i, 0)
	}
	simulate(t, w, Limits{MaxInFlight: 7}, func(t *testing.T, _ *Dispatcher) {
		pass(time.Minute)
		if small, large := w.podsOf("small"), w.podsOf("large"); small != 2 || large != 5 {
			t.Errorf("%d and %d pods, want 2 and 5", small, large)
		}
	})
}

// Queues take turns, whatever priorities their jobs have.
func TestRoundRobinBetweenQueues(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	for i := range 20 {
		w.scheduleFor("small", i, 9)
		w.scheduleFor("large", 20+i, 0)
	}
	simulate(t, w, Limits{MaxInFlight: 1, JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		for range 10 {
			pass(3 * time.Second)
			for _, pod := range w.Own() {
				if !pod.Finished {
					w.end(pod.JobUUID(), 0, true)
				}
			}
		}
		if small, large := w.podsOf("small"), w.podsOf("large"); small != 5 || large != 5 {
			t.Errorf("%d and %d pods, want 5 of each", small, large)
		}
	})
}

// What is wrong with one queue's namespace is none of the other's business.
func TestHeldQueueDoesNotHoldTheOther(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	for i := range 5 {
		w.refusals[w.scheduleFor("small", i, 9)] = refusal(500, `failed calling webhook "mutator"`)
	}
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		pass(time.Minute)
		for i := range 30 {
			w.scheduleFor("large", 10+i, 0)
		}
		pass(2 * time.Second)
		if w.podsOf("large") != 30 {
			t.Errorf("%d pods of the healthy queue, want 30", w.podsOf("large"))
		}
		if !d.queues[0].breaker.probing() || d.queues[1].breaker.probing() {
			t.Error("the wrong queue is stopped")
		}
	})
}

// A queue whose pods cannot start is stopped alone, too.
func TestPodsThatCannotStartStopTheirQueueAlone(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	trouble := &Trouble{Cause: CauseImageMissing, Container: "agent", Platform: true, Permanent: true}
	for i := range 10 {
		w.troubles[w.scheduleFor("small", i, 0)] = trouble
	}
	simulate(t, w, Limits{MaxInFlight: 30}, func(t *testing.T, d *Dispatcher) {
		pass(2 * time.Minute)
		for i := range 10 {
			w.scheduleFor("large", 20+i, 0)
		}
		pass(3 * time.Second)
		if w.podsOf("large") != 10 || w.podsOf("small") > 1 || len(w.failed) != 0 {
			t.Errorf("%d and %d pods, failed %v", w.podsOf("large"), w.podsOf("small"), w.failed)
		}
		if d.queues[1].starts.probing() {
			t.Error("the healthy queue is stopped")
		}
	})
}

// A long backlog of a full queue does not hide the jobs of another.
func TestFullQueueIsPassedOver(t *testing.T) {
	w := newWorld()
	twoQueues(w)
	w.queues[0].MaxInFlight = 1
	w.window = 10
	for i := range 50 {
		w.scheduleFor("small", i, 0)
	}
	late := w.scheduleFor("large", 59, 0)
	simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, d *Dispatcher) {
		pass(20 * time.Second)
		if w.pods[jobpod.PodName(late)] == nil {
			t.Error("the other queue's job has no pod")
		}
		if got := len(d.waiting.all()); got != 49 {
			t.Errorf("%d jobs known to wait, want 49", got)
		}
		// Once the queue has room its jobs are listed again.
		for _, pod := range w.Own() {
			if pod.Queue == "small" {
				w.end(pod.JobUUID(), 0, true)
			}
		}
		pass(5 * time.Second)
		if w.podsOf("small") != 2 {
			t.Errorf("%d pods of the queue that has room again", w.podsOf("small"))
		}
	})
}

// Pods of a queue that is configured no more count towards the limit of all.
func TestPodsOfAFormerQueueCount(t *testing.T) {
	w := newWorld()
	for i := range 3 {
		name := fmt.Sprint("old", i)
		w.pods[name] = &PodRecord{
			ObjectMeta: metav1.ObjectMeta{Name: name}, controllerID: testController,
			Started: true, Injected: true, Queue: "former",
		}
	}
	for i := range 5 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{MaxInFlight: 4}, func(t *testing.T, _ *Dispatcher) {
		pass(10 * time.Second)
		if w.creations != 1 {
			t.Errorf("%d pods created, want 1", w.creations)
		}
	})
}

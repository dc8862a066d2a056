package dispatcher

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// jobPod is a pod as the cluster holds it once it was injected.
func jobPod(uuid, owner string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: jobpod.PodName(uuid), Namespace: "jobs", UID: types.UID("uid-" + uuid), ResourceVersion: "10",
			Labels:      map[string]string{contract.JobUUIDLabel: uuid, contract.ControllerIDLabel: owner, "other": "x"},
			Annotations: map[string]string{contract.InjectedAnnotation: "{}", "large": "x"},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "container-0"}, {Name: contract.AgentContainer}},
		},
	}
}

// startCache runs a cache of these pods, and of their namespace, until the test
// ends.
func startCache(t *testing.T, pods ...*corev1.Pod) (*PodCache, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset()
	for _, pod := range pods {
		if err := client.Tracker().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	namespace := "jobs"
	if len(pods) > 0 {
		namespace = pods[0].Namespace
	}
	c, err := NewPodCache(client, nil, namespace, testController)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	if !cache.WaitForCacheSync(ctx.Done(), c.Synced) {
		t.Fatal("the cache is not filled")
	}
	return c, client
}

// inFlight counts pods that take capacity.
func inFlight(c *PodCache) int {
	count := 0
	for _, pod := range c.Own() {
		if pod.takesCapacity() {
			count++
		}
	}
	return count
}

// eventually waits for a condition that informers bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestPodCacheCounts(t *testing.T) {
	ended := jobPod("b", testController)
	ended.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: contract.AgentContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 27, FinishedAt: metav1.NewTime(at(5))}},
	}}
	c, client := startCache(t, jobPod("a", testController), ended, jobPod("c", "other"))
	if got := inFlight(c); got != 1 {
		t.Errorf("%d in flight, want 1", got)
	}
	if got := len(c.Own()); got != 2 {
		t.Errorf("%d own pods, want 2", got)
	}
	found := c.ForJob("b")
	if len(found) != 1 || found[0].AgentExit != 27 || !found[0].FinishedAt.Equal(at(5)) {
		t.Errorf("pods of job b: %+v", found)
	}
	if found[0].Labels != nil || found[0].Annotations != nil {
		t.Errorf("the record is not trimmed: %+v", found[0].ObjectMeta)
	}
	if err := client.CoreV1().Pods("jobs").Delete(t.Context(), jobpod.PodName("a"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deleted pod leaves the count", func() bool { return inFlight(c) == 0 })
}

// A pod counts once, from the answer to its creation on: neither the time until
// its event nor a deletion in between may lose or double it.
func TestPodCacheCountsCreatedPodsOnce(t *testing.T) {
	c, client := startCache(t)
	pod := jobPod("a", testController)
	c.Created(NewPodRecord(pod))
	if inFlight(c) != 1 || len(c.ForJob("a")) != 1 {
		t.Errorf("%d in flight, want the created one", inFlight(c))
	}
	if _, err := client.CoreV1().Pods("jobs").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event arrives", func() bool {
		if inFlight(c) != 1 {
			t.Errorf("%d in flight, want 1", inFlight(c))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.unobserved) == 0
	})
	if err := client.CoreV1().Pods("jobs").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is gone", func() bool { return inFlight(c) == 0 })
}

func TestPodCacheHandlesTombstones(t *testing.T) {
	c, _ := startCache(t)
	record := NewPodRecord(jobPod("a", testController))
	c.Created(record)
	c.observe(cache.DeletedFinalStateUnknown{Key: "jobs/" + record.Name, Obj: record})
	if inFlight(c) != 0 {
		t.Error("a pod whose deletion was missed still counts")
	}
	c.observe(cache.DeletedFinalStateUnknown{Key: "jobs/x", Obj: nil})
}

// What took a pod's job from it is told once after the pod has gone, by a watch
// that saw it go or by one that missed it.
func TestPodCacheRemembersLostPods(t *testing.T) {
	c, client := startCache(t, jobPod("a", testController), jobPod("b", "another"), jobPod("c", testController))
	lose := func(uuid string) {
		current, err := client.CoreV1().Pods("jobs").Get(t.Context(), jobpod.PodName(uuid), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		current.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", ContainerStatuses: []corev1.ContainerStatus{
			{Name: "container-0", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}},
			{Name: contract.AgentContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}},
		}}
		// What is seen last need not tell of it.
		for _, reason := range []string{"Evicted", ""} {
			current.Status.Reason = reason
			if _, err := client.CoreV1().Pods("jobs").UpdateStatus(t.Context(), current, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	lose("a")
	lose("b")
	for _, uuid := range []string{"a", "b", "c"} {
		if err := client.CoreV1().Pods("jobs").Delete(t.Context(), jobpod.PodName(uuid), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for len(c.Own()) > 0 {
		time.Sleep(time.Millisecond)
	}
	var lost []*PodRecord
	for deadline := time.Now().Add(10 * time.Second); len(lost) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		lost = c.Lost()
	}
	if len(lost) != 1 || lost[0].JobUUID() != "a" || lost[0].Loss.Cause != CauseEvicted {
		t.Errorf("lost: %v", lost)
	}
	if again := c.Lost(); len(again) > 0 {
		t.Errorf("told again: %v", again)
	}
}

func TestNewPodRecord(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}
	cases := map[string]struct {
		change  func(pod *corev1.Pod)
		started bool
		done    bool
		gated   bool
	}{
		"not scheduled": {func(*corev1.Pod) {}, false, false, false},
		"one waits": {func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "agent", State: running}, {Name: "container-0", State: waiting}}
		}, false, false, false},
		"all run": {func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "agent", State: running}, {Name: "container-0", State: running}}
		}, true, false, false},
		"evicted": {func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodFailed
			pod.Status.Conditions = []corev1.PodCondition{{LastTransitionTime: metav1.NewTime(at(9))}}
		}, false, true, false},
		"gated":             {func(pod *corev1.Pod) { pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: contract.Gate}} }, false, false, true},
		"somebody's gate":   {func(pod *corev1.Pod) { pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "quota"}} }, false, false, false},
		"a sidecar is left": {func(pod *corev1.Pod) { endAgent(pod); pod.Status.Phase = corev1.PodRunning }, false, true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := jobPod("a", testController)
			tc.change(pod)
			got := NewPodRecord(pod)
			if got.Started != tc.started || got.Finished != tc.done || got.Gated != tc.gated {
				t.Errorf("started %v, finished %v, gated %v", got.Started, got.Finished, got.Gated)
			}
			if got.Finished && got.FinishedAt.IsZero() {
				t.Error("no time of the end")
			}
		})
	}
}

func endAgent(pod *corev1.Pod) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: contract.AgentContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at(5))}},
	}}
}

// A pod that somebody made for a job is found under whatever name it has, beside
// one whose name tells its job.
func TestPodsOfAJobByAnyName(t *testing.T) {
	const uuid = "01920000-0000-4000-8000-000000000001"
	byHand := jobPod(uuid, "")
	byHand.Name, byHand.UID = "mine", "by-hand"
	// It has the name of another job's pod.
	misnamed := jobPod("x", "")
	misnamed.Name, misnamed.UID = jobpod.PodName("y"), "misnamed"
	c, _ := startCache(t, jobPod(uuid, testController), byHand, misnamed)
	for job, want := range map[string]int{uuid: 2, "x": 1, "y": 0} {
		if got := len(c.ForJob(job)); got != want {
			t.Errorf("%d pods of job %s, want %d", got, job, want)
		}
	}
}

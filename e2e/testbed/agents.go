package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Agents stands in for the agents of all job pods.
type Agents struct {
	testbed *Testbed
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// seen is when a job's first pod was seen, pods how many there were.
	seen map[string]time.Time
	pods map[string]map[types.UID]bool
	// begun are the pods whose agent has begun.
	begun map[types.UID]bool
	// refused counts agents that were refused their job.
	refused int
}

func newAgents(t *Testbed) *Agents {
	return &Agents{testbed: t, seen: map[string]time.Time{}, pods: map[string]map[types.UID]bool{}, begun: map[types.UID]bool{}}
}

// start watches the pods until stop is called.
func (a *Agents) start(ctx context.Context) error {
	ctx, a.cancel = context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(a.testbed.Plane.Client(), 0,
		informers.WithNamespace(controlplane.JobNamespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = contract.JobUUIDLabel }))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { a.observe(ctx, object) },
		UpdateFunc: func(_, object any) { a.observe(ctx, object) },
		DeleteFunc: a.forget,
	})
	if err != nil {
		return fmt.Errorf("watch the job pods: %w", err)
	}
	a.running.Go(func() { informer.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("watch the job pods: %w", ctx.Err())
	}
	return nil
}

func (a *Agents) stop() {
	if a.cancel != nil {
		a.cancel()
		a.running.Wait()
	}
}

// observe begins the agent of a pod whose containers have started.
func (a *Agents) observe(ctx context.Context, object any) {
	pod, isPod := object.(*corev1.Pod)
	if !isPod {
		return
	}
	job := pod.Labels[contract.JobUUIDLabel]
	if pod.Labels[contract.InjectLabel] == "" {
		return // nothing has made it a job's
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pods[job] == nil {
		a.pods[job] = map[types.UID]bool{}
		a.seen[job] = time.Now()
	}
	a.pods[job][pod.UID] = true
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || a.begun[pod.UID] {
		return
	}
	a.begun[pod.UID] = true
	a.running.Go(func() {
		status := a.run(ctx, pod, job)
		if status != exitNever {
			a.end(ctx, pod, status)
		}
	})
}

func (a *Agents) forget(object any) {
	if tombstone, isTombstone := object.(cache.DeletedFinalStateUnknown); isTombstone {
		object = tombstone.Obj
	}
	if pod, isPod := object.(*corev1.Pod); isPod {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.begun, pod.UID)
	}
}

// Seen returns when the first pod of a job was seen; zero is never.
func (a *Agents) Seen(job string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[job]
}

// SeenCount returns how many jobs have had a pod.
func (a *Agents) SeenCount() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// PodsOf returns how many pods a job has had.
func (a *Agents) PodsOf(job string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pods[job])
}

// Refused returns how many agents were refused their job.
func (a *Agents) Refused() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// end reports what a kubelet would of a pod whose containers have all ended. It
// tries until it has been heard, or the pod is gone.
func (a *Agents) end(ctx context.Context, pod *corev1.Pod, exitStatus int32) {
	now := metav1.Now()
	status := corev1.PodStatus{Phase: corev1.PodSucceeded}
	if exitStatus != 0 {
		status.Phase = corev1.PodFailed
	}
	for _, container := range pod.Status.ContainerStatuses {
		ended := container.DeepCopy()
		ended.Ready, ended.Started = false, new(bool)
		ended.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: now, Reason: "Completed", StartedAt: *pod.Status.StartTime}}
		if container.Name == contract.AgentContainer {
			ended.State.Terminated.ExitCode = exitStatus
		}
		status.ContainerStatuses = append(status.ContainerStatuses, *ended)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   map[string]any{"phase": status.Phase, "containerStatuses": status.ContainerStatuses},
	})
	if err != nil {
		panic(err)
	}
	pods := a.testbed.Plane.Client().CoreV1().Pods(pod.Namespace)
	for ctx.Err() == nil {
		_, err := pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err == nil || isGone(err) {
			return
		}
		sleep(ctx, time.Second)
	}
}

// complainf is for what must not happen to a stand-in itself.
func complainf(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "agent stand-in: "+format+"\n", arguments...)
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

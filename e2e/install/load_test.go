package install

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// perSecond is how many pods are created while something happens.
const perSecond = 20

// load creates labelled pods, in dry runs that go through admission as any other,
// and counts those that were refused or that no mutator saw.
type load struct {
	cancel   context.CancelFunc
	running  sync.WaitGroup
	created  atomic.Int64
	mu       sync.Mutex
	problems []problem
}

// problem is a pod that was not created as it should have been.
type problem struct {
	at   time.Time
	text string
}

func startLoad(t *testing.T) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{cancel: cancel}
	l.running.Go(func() {
		ticker := time.NewTicker(time.Second / perSecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				l.running.Go(func() { l.create(context.WithoutCancel(ctx)) })
			}
		}
	})
	t.Cleanup(cancel)
	return l
}

func (l *load) create(ctx context.Context) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "load-", Labels: map[string]string{"buildkite.com/inject": "true"}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "job", Image: "none", Command: []string{"true"}}},
		},
	}
	begin := time.Now()
	made, err := api.CoreV1().Pods(jobNamespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	l.created.Add(1)
	var text string
	switch {
	case err != nil:
		text = fmt.Sprintf("%v, after %s", err, time.Since(begin).Round(time.Millisecond))
	case made.Annotations["buildkite.com/injected"] == "":
		text = "a pod that the mutator did not see"
	default:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, problem{at: begin, text: text})
}

// stop ends the load and fails the test if one creation failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	for _, problem := range l.end(t) {
		t.Errorf("%s: %s", problem.at.Format(time.TimeOnly), problem.text)
	}
}

// end ends the load and returns what went wrong.
func (l *load) end(t *testing.T) []problem {
	t.Helper()
	l.cancel()
	l.running.Wait()
	t.Logf("%d pods created, %d refused", l.created.Load(), len(l.problems))
	if l.created.Load() < perSecond {
		t.Errorf("only %d pods were created", l.created.Load())
	}
	return l.problems
}

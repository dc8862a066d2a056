package testbed

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/buildkite/agent/v3/core"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// Exit statuses of buildkite-agent, and one for agents that do not exit.
const (
	exitDone    = 0
	exitFailed  = 1
	exitRefused = 27
	exitNever   = -1
)

// isGone reports whether a pod does not exist any more; another of its name has
// another UID, which is a conflict.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err)
}

// run does a pod's job and returns the exit status of the agent.
func (a *Agents) run(ctx context.Context, pod *corev1.Pod, job string) int32 {
	pause := time.Duration(rand.Int64N(int64(a.testbed.options.JobTime) + 1))
	if a.testbed.options.Brief {
		return a.runBriefly(ctx, pod, job, pause)
	}
	agent, err := core.NewController(ctx, agentToken, pod.Name, []string{"queue=" + queue}, core.WithEndpoint(a.testbed.URL+"/v3"))
	if err != nil {
		if ctx.Err() == nil {
			complainf("register for job %s: %v", job, err)
		}
		return exitFailed
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = agent.Close(closing) // the job is done; a silent agent is forgotten
	}()
	acquired, err := agent.AcquireJob(ctx, job)
	if errors.Is(err, core.ErrJobAcquisitionRejected) {
		a.noteRefused()
		return exitRefused
	}
	if err != nil {
		complainf("acquire job %s: %v", job, err)
		return exitFailed
	}
	running := agent.NewJobController(acquired)
	if err := running.Start(ctx); err != nil {
		complainf("start job %s: %v", job, err)
		return exitFailed
	}
	sleep(ctx, pause)
	if err := running.Finish(ctx, core.ProcessExit{}, new(true)); err != nil {
		complainf("finish job %s: %v", job, err)
		return exitFailed
	}
	return exitDone
}

// runBriefly does the same without a request.
func (a *Agents) runBriefly(ctx context.Context, pod *corev1.Pod, job string, pause time.Duration) int32 {
	store := a.testbed.Simulator.Store()
	identity, _ := store.Identify(agentToken)
	agent, _, err := store.Register(identity, state.NewAgent{Name: pod.Name, Tags: []string{"queue=" + queue}, IgnoreInDispatches: true})
	if err != nil {
		complainf("register for job %s: %v", job, err)
		return exitFailed
	}
	store.Connect(agent.UUID)
	if !a.testbed.options.Endless {
		defer store.Disconnect(agent.UUID) // which would end the job
	}
	if _, err := store.Acquire(agent.UUID, job); err != nil {
		a.noteRefused()
		return exitRefused
	}
	err = store.Start(job)
	if a.testbed.options.Endless {
		return exitNever
	}
	sleep(ctx, pause)
	if err := errors.Join(err, store.Finish(job, state.Finish{ExitStatus: "0"})); err != nil {
		complainf("run job %s: %v", job, err)
		return exitFailed
	}
	return exitDone
}

func (a *Agents) noteRefused() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
}

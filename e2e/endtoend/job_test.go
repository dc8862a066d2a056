package endtoend

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// job is one job of a build.
type job struct {
	build       *build
	label, uuid string
}

func (j *job) get(t *testing.T) simulator.Job {
	t.Helper()
	current, err := client.Job(t.Context(), j.uuid)
	if err != nil {
		t.Fatal(err)
	}
	return current
}

// pod is the name of the pod that the dispatcher makes for the job.
func (j *job) pod() string { return "buildkite-" + j.uuid }

func (j *job) state(t *testing.T) string {
	t.Helper()
	return string(j.get(t).State)
}

func (j *job) signalReason(t *testing.T) string {
	t.Helper()
	return j.get(t).SignalReason
}

func (j *job) exits(t *testing.T, status int) {
	t.Helper()
	if current := j.get(t); current.ExitStatus == nil || *current.ExitStatus != status {
		t.Errorf("job %s: %s, want exit status %d\n%s", j.label, exitText(current), status, j.log(t))
	}
}

func (j *job) exitsNonZero(t *testing.T) {
	t.Helper()
	if current := j.get(t); current.ExitStatus == nil || *current.ExitStatus == 0 {
		t.Errorf("job %s: %s, want a failure\n%s", j.label, exitText(current), j.log(t))
	}
}

func (j *job) log(t *testing.T) string {
	t.Helper()
	log, err := client.JobLog(t.Context(), j.uuid)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(log, "\r\n", "\n")
}

// logs checks that the job's log has all of these, and returns it.
func (j *job) logs(t *testing.T, wanted ...string) string {
	t.Helper()
	log := j.log(t)
	for _, want := range wanted {
		if !strings.Contains(log, want) {
			t.Errorf("the log of job %s lacks %q:\n%s", j.label, want, log)
		}
	}
	return log
}

// waitBegun waits until the job's command has printed "begun": a line that is just
// that, so that the command's own text does not count.
func (j *job) waitBegun(t *testing.T) {
	t.Helper()
	eventually(t, "job "+j.label+" to begin", func(ctx context.Context) (bool, error) {
		log, err := client.JobLog(ctx, j.uuid)
		return strings.Contains(strings.ReplaceAll(log, "\r\n", "\n"), "\nbegun\n"), err
	})
}

func (j *job) waitCanceled(t *testing.T) {
	t.Helper()
	eventually(t, "job "+j.label+" to be canceled", func(ctx context.Context) (bool, error) {
		current, err := client.Job(ctx, j.uuid)
		return current.State == "canceled", err
	})
}

func (j *job) cancel(t *testing.T) {
	t.Helper()
	if _, err := client.CancelJob(t.Context(), j.uuid); err != nil {
		t.Fatal(err)
	}
}

// within checks how long after an event the job ended.
func (j *job) within(t *testing.T, event time.Time, limit time.Duration) {
	t.Helper()
	took := j.get(t).FinishedAt.Sub(event)
	t.Logf("%s: the job had ended %.1f s after it", t.Name(), took.Seconds())
	if took > limit {
		t.Errorf("the job had ended %.1f s after it, want at most %s", took.Seconds(), limit)
	}
}

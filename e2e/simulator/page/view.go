package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// functions are what the templates call. A tone is the class that colours a row.
var functions = template.FuncMap{
	"tone":      jobTone,
	"buildTone": buildTone,
	"styleTone": styleTone,
	"state":     jobState,
	"jobName":   jobName,
	"buildPath": buildPath,
	"took":      took,
	"exit":      func(job state.Job) int { return *job.ExitStatus },
	"clock":     func(t time.Time) string { return t.Format(time.TimeOnly) },
}

const (
	tonePassed  = "passed"
	toneFailed  = "failed"
	toneRunning = "running"
	toneWaiting = "waiting"
	toneIdle    = "idle"
)

func jobTone(job state.Job) string {
	switch job.State {
	case state.Finished:
		if job.Passed {
			return tonePassed
		}
		return toneFailed
	case state.Canceled, state.TimedOut, state.Expired:
		return toneFailed
	case state.Waiting, state.WaitingFailed, state.Skipped:
		return toneIdle
	case state.Scheduled, state.Assigned:
		return toneWaiting
	default:
		return toneRunning
	}
}

func buildTone(build state.Build) string {
	switch build.State {
	case state.BuildPassed:
		return tonePassed
	case state.BuildFailed, state.BuildCanceled, state.BuildFailing:
		return toneFailed
	case state.BuildScheduled:
		return toneWaiting
	default:
		return toneRunning
	}
}

func styleTone(style string) string {
	switch style {
	case "success":
		return tonePassed
	case "error":
		return toneFailed
	case "warning":
		return toneWaiting
	case "info":
		return toneRunning
	default:
		return toneIdle
	}
}

// jobState says passed or failed where the API says finished.
func jobState(job state.Job) string {
	switch {
	case job.State != state.Finished:
		return strings.ReplaceAll(string(job.State), "_", " ")
	case job.Passed:
		return "passed"
	case job.SoftFailed:
		return "soft failed"
	default:
		return "failed"
	}
}

func jobName(job state.Job) string {
	name := job.Label
	if name == "" {
		name, _, _ = strings.Cut(strings.TrimSpace(job.Command), "\n")
	}
	if name == "" {
		name = job.StepKey
	}
	if name == "" {
		name = "job " + job.UUID
	}
	if job.ParallelTotal > 0 {
		name += fmt.Sprintf(" (%d/%d)", job.ParallelIndex+1, job.ParallelTotal)
	}
	return name
}

func buildPath(organization string, build state.Build) string {
	return fmt.Sprintf("/%s/%s/builds/%d", organization, build.PipelineSlug, build.Number)
}

// took is how long something took, or takes up to now. It is empty before the
// beginning.
func took(from, to time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = time.Now()
	}
	switch duration := to.Sub(from); {
	case duration < 10*time.Second:
		return duration.Round(100 * time.Millisecond).String()
	default:
		return duration.Round(time.Second).String()
	}
}

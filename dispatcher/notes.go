package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// noteInterval is the shortest time between two versions of an annotation.
	noteInterval = time.Minute
	// notesPerMinute bounds the annotations of all builds: each costs points
	// that jobs need.
	notesPerMinute = 30
	// maxNoteFailures is how often it is tried to remove an annotation.
	maxNoteFailures = 5
	// maxNoteJobs is how many jobs an annotation lists.
	maxNoteJobs = 20
	// maxNoteWords bounds what it quotes for each.
	maxNoteWords = 300
	// maxAdopted bounds the builds that may have an annotation of an earlier
	// leader's.
	maxAdopted = 100
	// lossMemory is how long a loss stays on its build's annotation at least.
	lossMemory = time.Hour
)

// notes keeps the builds' annotations: one that says what jobs wait for, and one
// that says what ended jobs that had begun.
type notes struct {
	dispatcher *Dispatcher
	begun      time.Time

	mu sync.Mutex
	// waiting and lost are the annotations by build.
	waiting map[BuildRef]*note
	lost    map[BuildRef]*note
	adopted int

	// Only the observer uses these. events are pods that have an event about
	// their wait, losses are pods whose loss is known, by UID.
	events map[string]bool
	losses map[types.UID]*loss
	window time.Time
	sent   int
}

// note is an annotation as Buildkite has it.
type note struct {
	// sent is its text, "" if there is none, as far as is known.
	sent string
	// mayExist is set for one that an earlier leader may have left.
	mayExist bool
	// at is when it was last written, or tried.
	at time.Time
	// failures counts tries in a row that failed.
	failures int
}

// loss is a job that was ended with its pod.
type loss struct {
	pod  *PodRecord
	ref  jobRef
	seen time.Time
	// isKnown is set once Buildkite has told the job's state, isTold if it had
	// been acquired.
	isKnown, isTold bool
}

func newNotes(d *Dispatcher) *notes {
	return &notes{
		dispatcher: d, begun: time.Now(),
		waiting: map[BuildRef]*note{}, lost: map[BuildRef]*note{},
		events: map[string]bool{}, losses: map[types.UID]*loss{},
	}
}

// adopt looks after an annotation that an earlier leader may have left on the
// build of a job that has waited since then.
func (n *notes) adopt(ref jobRef) {
	delay := n.dispatcher.limits.AnnotateAfter
	if delay == 0 || ref.build == (BuildRef{}) || ref.scheduled.IsZero() || n.begun.Sub(ref.scheduled) < delay {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting[ref.build] == nil && n.adopted < maxAdopted {
		n.adopted++
		n.waiting[ref.build] = &note{mayExist: true}
	}
}

// adoptPods does so for the pods that an earlier leader left.
func (n *notes) adoptPods(pods []*PodRecord) {
	delay := n.dispatcher.limits.AnnotateAfter
	for _, pod := range pods {
		startedLong := pod.Started && n.begun.Sub(pod.StartedAt) > 2*noteInterval
		startedSoon := pod.Started && pod.StartedAt.Sub(pod.CreationTimestamp.Time) < delay
		if !pod.Finished && !startedLong && !startedSoon {
			n.adopt(jobRef{build: pod.Build, scheduled: pod.CreationTimestamp.Time})
		}
	}
}

// keep brings the annotations in line with what waits and what was lost.
func (n *notes) keep(ctx context.Context, waits []wait) {
	delay := n.dispatcher.limits.AnnotateAfter
	if n.dispatcher.Annotator == nil || delay == 0 {
		return
	}
	texts := map[BuildRef][]wait{}
	for _, w := range waits {
		if w.ref.build != (BuildRef{}) && time.Since(w.since) >= delay {
			texts[w.ref.build] = append(texts[w.ref.build], w)
		}
	}
	n.mu.Lock()
	for build := range texts {
		if n.waiting[build] == nil {
			n.waiting[build] = &note{}
		}
	}
	builds := maps.Clone(n.waiting)
	n.mu.Unlock()
	for build, note := range builds {
		text := waitingText(texts[build])
		n.set(ctx, build, note, Note{Context: n.context("waiting"), Style: NoteInfo, Body: text})
		if text == "" && note.sent == "" && !note.mayExist {
			n.mu.Lock()
			delete(n.waiting, build)
			n.mu.Unlock()
		}
	}
	n.keepLosses(ctx)
}

// context is an annotation's name on its build, where other dispatchers may have
// theirs.
func (n *notes) context(what string) string {
	return "agent-stack-k8s-" + what + "-" + n.dispatcher.queues[0].Pods.ControllerID
}

// set writes an annotation if its text has changed, at most once a minute, or
// removes it. A failure is tried again later.
func (n *notes) set(ctx context.Context, build BuildRef, note *note, want Note) {
	isGone := want.Body == ""
	isNews := want.Body != note.sent || isGone && note.mayExist
	switch {
	case ctx.Err() != nil, !isNews:
		return
	case (!isGone || note.failures > 0) && time.Since(note.at) < noteInterval, !n.allowed():
		return
	}
	var err error
	action := "written"
	if isGone {
		action = "removed"
		err = n.dispatcher.Annotator.Remove(ctx, build, want.Context)
	} else {
		err = n.dispatcher.Annotator.Annotate(ctx, build, want)
	}
	note.at = time.Now()
	if err != nil {
		n.dispatcher.metrics.apiErrors.WithLabelValues(operationAnnotate, kindOf(err)).Inc()
		n.dispatcher.log.Debug("annotation could not be kept", slog.String("build", build.URL), slog.Any("error", err))
		note.failures++
		var problem *Problem
		if errors.As(err, &problem) && problem.RetryAfter > 0 {
			note.at = note.at.Add(min(problem.RetryAfter, noteInterval) - noteInterval)
		}
		if isGone && note.failures >= maxNoteFailures {
			note.sent, note.mayExist = "", false
		}
		return
	}
	note.sent, note.mayExist, note.failures = want.Body, false, 0
	n.dispatcher.metrics.annotations.WithLabelValues(action).Inc()
}

// allowed spends one of the minute's annotations.
func (n *notes) allowed() bool {
	if time.Since(n.window) >= time.Minute {
		n.window, n.sent = time.Now(), 0
	}
	n.sent++
	return n.sent <= notesPerMinute
}

// waitingText is the annotation about jobs that wait. It holds no times that
// pass, so that it changes only with its subject.
func waitingText(waits []wait) string {
	if len(waits) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("**Waiting for Kubernetes**\n\n")
	for i, w := range waits {
		if i == maxNoteJobs {
			fmt.Fprintf(&text, "- and %d more\n", len(waits)-i)
			break
		}
		fmt.Fprintf(&text, "- %s (queue %s) %s, since %s UTC.%s\n", jobLink(w.ref), inCode(w.queue.name), w.sentence(), w.since.UTC().Format("15:04:05"), quoted(w.words))
	}
	return text.String()
}

func jobLink(ref jobRef) string {
	if ref.url == "" || strings.ContainsAny(ref.url, "() \n") {
		return "Job " + inCode(ref.uuid)
	}
	return "[This job](" + ref.url + ")"
}

func quoted(words string) string {
	if words == "" {
		return ""
	}
	return " The cluster says: " + inCode(words)
}

// inCode shows a text as it is, on one line: it may hold names that an author
// chose.
func inCode(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "`", "'")), " ")
	if len(text) > maxNoteWords {
		text = strings.ToValidUTF8(text[:maxNoteWords], "") + " …"
	}
	return "`" + text + "`"
}

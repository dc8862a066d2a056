package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// findLosses looks for pods that were ended while they ran their job. The state
// of each such job is asked for until Buildkite has answered: a pod may also have
// been ended before its agent had the job.
func (n *notes) findLosses(ctx context.Context) {
	d := n.dispatcher
	for _, pod := range slices.Concat(d.Pods.Lost(), d.Pods.Own()) {
		if pod.Loss == nil {
			continue
		}
		known := n.losses[pod.UID]
		if known == nil {
			known = &loss{pod: pod, ref: jobRef{uuid: pod.JobUUID(), url: pod.JobURL(), build: pod.Build}}
			n.losses[pod.UID] = known
		}
		known.seen = time.Now()
	}
	for uid, loss := range n.losses {
		switch {
		case time.Since(loss.seen) > lossMemory:
			delete(n.losses, uid)
		case !loss.isKnown && ctx.Err() == nil:
			n.ask(ctx, loss)
		}
	}
}

// ask finds out whether a lost pod's job was acquired.
func (n *notes) ask(ctx context.Context, loss *loss) {
	d, pod := n.dispatcher, loss.pod
	states, err := d.States.States(ctx, []string{pod.JobUUID()})
	if err != nil {
		d.log.Debug("the state of a lost job could not be read", d.jobAttributes(pod.Job(), slog.Any("error", err))...)
	}
	state, isFound := states[pod.JobUUID()]
	loss.isKnown = isFound || err == nil
	loss.isTold = isFound && state != StateScheduled && (!state.Withdrawn() || state == StateTimedOut)
	if loss.isTold {
		d.metrics.losses.WithLabelValues(d.queueOf(pod).name, pod.Loss.Cause).Inc()
		d.event(pod, eventLost, pod.Loss.LossAdvice())
		d.log.Warn("a job's pod was ended while it ran", d.jobAttributes(pod.Job(),
			slog.String("pod", pod.Name), slog.String("cause", pod.Loss.Cause), slog.String("message", pod.Loss.Message))...)
	}
}

// keepLosses keeps the annotations about losses. They stay: the builds' readers
// come later.
func (n *notes) keepLosses(ctx context.Context) {
	lost := map[BuildRef][]*loss{}
	for _, loss := range n.losses {
		if loss.isTold && loss.ref.build != (BuildRef{}) {
			lost[loss.ref.build] = append(lost[loss.ref.build], loss)
		}
	}
	for build, losses := range lost {
		if n.lost[build] == nil {
			n.lost[build] = &note{}
		}
		n.set(ctx, build, n.lost[build], Note{Context: n.context("lost"), Style: NoteError, Body: lostText(losses)})
	}
	for build, note := range n.lost {
		if lost[build] == nil && time.Since(note.at) > lossMemory {
			delete(n.lost, build)
		}
	}
}

// lostText is the annotation about jobs that were ended with their pod.
func lostText(losses []*loss) string {
	slices.SortFunc(losses, func(a, b *loss) int {
		return cmp.Or(a.pod.Loss.Since.Compare(b.pod.Loss.Since), strings.Compare(a.ref.uuid, b.ref.uuid))
	})
	var text strings.Builder
	text.WriteString("**Ended by Kubernetes**\n\n")
	for i, loss := range losses {
		if i == maxNoteJobs {
			fmt.Fprintf(&text, "- and %d more\n", len(losses)-i)
			break
		}
		fmt.Fprintf(&text, "- %s: %s%s\n", jobLink(loss.ref), escape(loss.pod.Loss.LossAdvice()), quoted(loss.pod.Loss.Message))
	}
	return text.String()
}

// escape keeps names that an author chose from becoming Markdown or HTML.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", "[", "\\[", "*", "\\*", "_", "\\_", "`", "'").Replace(text)
}

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
// of each such job is asked for once: a pod may also have been ended before its
// agent had the job.
func (n *notes) findLosses(ctx context.Context) {
	d := n.dispatcher
	for _, pod := range slices.Concat(d.Pods.Own(), d.Pods.Gone()) {
		uid := string(pod.UID)
		if pod.Loss == nil || ctx.Err() != nil {
			continue
		}
		known := n.losses[uid]
		if known == nil {
			known = &loss{ref: jobRef{uuid: pod.JobUUID(), url: pod.JobURL, build: pod.Build}, trouble: pod.Loss}
			n.losses[uid] = known
			known.isTold = n.isRun(ctx, pod)
			if known.isTold {
				d.metrics.losses.WithLabelValues(d.queueOf(pod).name, pod.Loss.Cause).Inc()
				d.event(pod, eventLost, pod.Loss.LossAdvice())
				d.log.Warn("a job's pod was ended while it ran", d.jobAttributes(pod.Job(),
					slog.String("pod", pod.Name), slog.String("cause", pod.Loss.Cause), slog.String("message", pod.Loss.Message))...)
			}
		}
		known.seen = time.Now()
	}
	for uid, loss := range n.losses {
		if time.Since(loss.seen) > lossMemory {
			delete(n.losses, uid)
		}
	}
}

// isRun reports whether a pod's job was acquired, as far as Buildkite tells.
func (n *notes) isRun(ctx context.Context, pod *PodRecord) bool {
	states, _ := n.dispatcher.States.States(ctx, []string{pod.JobUUID()})
	state, known := states[pod.JobUUID()]
	return known && state != StateScheduled && (!state.Withdrawn() || state == StateTimedOut)
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
		return cmp.Or(a.trouble.Since.Compare(b.trouble.Since), strings.Compare(a.ref.uuid, b.ref.uuid))
	})
	var text strings.Builder
	text.WriteString("**Ended by Kubernetes**\n\n")
	for i, loss := range losses {
		if i == maxNoteJobs {
			fmt.Fprintf(&text, "- and %d more\n", len(losses)-i)
			break
		}
		fmt.Fprintf(&text, "- %s: %s%s\n", jobLink(loss.ref), escape(loss.trouble.LossAdvice()), quoted(loss.trouble.Message))
	}
	return text.String()
}

// escape keeps names that an author chose from becoming Markdown or HTML.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", "[", "\\[", "*", "\\*", "_", "\\_", "`", "'").Replace(text)
}

package dispatcher

import (
	"context"
	"time"
)

// observeInterval is the time between looks at what waits.
const observeInterval = 5 * time.Second

// observer tells the world how jobs are: by metrics, annotations and events. It
// changes nothing.
type observer struct {
	dispatcher *Dispatcher
}

// run observes until the context ends.
func (o *observer) run(ctx context.Context) {
	o.dispatcher.notes.adoptPods(o.dispatcher.Pods.Own())
	for {
		o.observe(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(observeInterval):
		}
	}
}

func (o *observer) observe(ctx context.Context) {
	d := o.dispatcher
	waits, running := d.waits()
	d.metrics.jobs.Reset()
	for name, count := range running {
		d.metrics.jobs.WithLabelValues(name, stateRunning, "").Set(float64(count))
	}
	for _, w := range waits {
		d.metrics.jobs.WithLabelValues(w.queue.name, w.state, w.cause).Inc()
	}
	d.metrics.problem.Reset()
	for _, area := range d.problems.areas() {
		d.metrics.problem.WithLabelValues(area).Set(1)
	}
	o.tell(waits)
	d.notes.findLosses(ctx)
	d.notes.keep(ctx, waits)
}

// tell writes one event on each pod that waits for long.
func (o *observer) tell(waits []wait) {
	d, known := o.dispatcher, map[string]bool{}
	for _, w := range waits {
		if w.pod == nil || d.limits.AnnotateAfter == 0 || time.Since(w.since) < d.limits.AnnotateAfter {
			continue
		}
		// A pod's second trouble is worth an event too.
		key := string(w.pod.UID) + " " + w.cause
		known[key] = true
		if !d.notes.events[key] {
			d.event(w.pod, eventWaiting, "the job "+w.sentence())
		}
	}
	d.notes.events = known
}

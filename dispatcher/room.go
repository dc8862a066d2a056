package dispatcher

// room is how many more jobs may be started now, of each queue and of all
// together.
type room struct {
	all  int
	each map[*queue]int
}

// room counts what is in flight and in hand, and what breakers allow.
func (d *Dispatcher) room() *room {
	inHand := d.countInHand()
	inFlight, probes := d.countPods()
	total, totalInHand := 0, 0
	for _, count := range inFlight {
		total += count
	}
	for _, count := range inHand {
		totalInHand += count
	}
	d.metrics.inFlight.Reset()
	for name, count := range inFlight {
		if !d.isQueue(name) {
			name = otherQueue
		}
		d.metrics.inFlight.WithLabelValues(name).Add(float64(count))
	}
	r := &room{all: min(limitOr(d.limits.MaxInFlight)-total-totalInHand, maxInHand-totalInHand), each: map[*queue]int{}}
	for _, q := range d.queues {
		mine := min(limitOr(q.MaxInFlight)-inFlight[q.name]-inHand[q], maxInHand)
		mine = q.breaker.allowance(mine, inHand[q])
		if q.starts.probing() {
			mine = q.starts.allowance(mine, inHand[q]+probes[q.name])
		}
		r.each[q] = mine
	}
	return r
}

// limitOr returns a limit of which 0 is none.
func limitOr(limit int) int {
	if limit == 0 {
		return unlimited
	}
	return limit
}

// any reports whether a job of any queue can be started.
func (r *room) any() bool {
	for _, count := range r.each {
		if r.all > 0 && count > 0 {
			return true
		}
	}
	return false
}

// isFull reports whether a queue has no room.
func (r *room) isFull(q *queue) bool {
	return r.all <= 0 || r.each[q] <= 0
}

// take takes one place of the queue's, if there is one.
func (r *room) take(q *queue) bool {
	if r.isFull(q) {
		return false
	}
	r.all--
	r.each[q]--
	return true
}

func (d *Dispatcher) countInHand() map[*queue]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[*queue]int{}
	for _, attempt := range d.inHand {
		if !attempt.fails {
			counts[attempt.queue]++
		}
	}
	return counts
}

// countPods counts own pods in flight by the queue that they name, and among
// them those that were created to see whether pods start again, and of which it
// is not known yet.
func (d *Dispatcher) countPods() (inFlight, probes map[string]int) {
	inFlight, probes = map[string]int{}, map[string]int{}
	for _, pod := range d.Pods.Own() {
		if !pod.takesCapacity() {
			continue
		}
		inFlight[pod.Queue]++
		if q := d.queueOf(pod); !pod.Started && q.starts.probing() && q.starts.trippedBefore(pod.CreationTimestamp.Time) {
			probes[q.name]++
		}
	}
	return inFlight, probes
}

// otherQueue stands for queues that are not configured any more.
const otherQueue = "(other)"

func (d *Dispatcher) isQueue(name string) bool {
	for _, q := range d.queues {
		if q.name == name {
			return true
		}
	}
	return false
}

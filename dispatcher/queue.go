package dispatcher

import (
	"sync/atomic"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Queue is one of the queues whose jobs a dispatcher runs.
type Queue struct {
	// Pods is what the pods of the queue's jobs have in common. A job is the
	// queue's if its tags meet all of the job's rules.
	Pods jobpod.PodSettings
	// MaxInFlight is the most pods of this queue whose agent has not ended; 0 is
	// no limit but that of all queues together.
	MaxInFlight int
	// Failer fails jobs of this queue.
	Failer Failer
}

// queue is a Queue with what is known of it at present. What holds one queue
// does not hold another.
type queue struct {
	Queue
	name string
	// breaker is about the creation of pods, starts about their start.
	breaker breaker
	starts  breaker
	surges  surges
	// works is set once the cluster has taken a pod.
	works atomic.Bool
}

func newQueues(configured []Queue) []*queue {
	queues := make([]*queue, len(configured))
	for i, q := range configured {
		queues[i] = &queue{Queue: q, name: q.Pods.Tags.Queue()}
	}
	return queues
}

// area names a part of the queue's world for problems.
func (q *queue) area(part string) string {
	return part + " of queue " + q.name
}

// queueFor returns the first queue whose tags meet all of a job's rules, or nil.
func (d *Dispatcher) queueFor(job jobpod.Job) *queue {
	for _, q := range d.queues {
		if q.Pods.Tags.Accept(job.Rules) {
			return q
		}
	}
	return nil
}

// queueOf returns the queue that a pod was made for. A pod of a queue that is
// not configured any more is looked after like those of the first one.
func (d *Dispatcher) queueOf(pod *PodRecord) *queue {
	for _, q := range d.queues {
		if q.name == pod.Queue {
			return q
		}
	}
	return d.queues[0]
}

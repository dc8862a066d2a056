package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	jobIndex = "job-uuid"
	// unobservedPatience is how long a created pod is counted although no
	// event came and the watch is already past its version: a relist swallows
	// the events of a pod that was created and deleted meanwhile.
	unobservedPatience = 30 * time.Second
	// maxLost bounds the pods that lost their jobs and nobody has asked for yet.
	maxLost = 1000
)

// PodCache follows the pods of a namespace that carry a job's UUID, whoever
// made them, as records. It is safe for concurrent use.
type PodCache struct {
	controllerID string
	namespace    string
	informer     cache.SharedIndexInformer
	clock        *ClusterClock

	mu sync.Mutex
	// unobserved pods are by their job's UUID: most questions are about one job.
	unobserved map[string][]unobservedPod
	// lost pods lost their jobs, by UID. An evicted pod may do so and vanish
	// faster than anybody looks, and what is seen last need not tell.
	lost map[types.UID]*PodRecord
}

// unobservedPod was created, but the watch has not told of it yet.
type unobservedPod struct {
	record *PodRecord
	since  time.Time
}

// NewPodCache makes a cache of the namespace's job pods. Run fills it. The clock is
// the API server's, or nil.
func NewPodCache(client kubernetes.Interface, clock *ClusterClock, namespace, controllerID string) (*PodCache, error) {
	informer := cache.NewSharedIndexInformer(podLists(client, namespace), &corev1.Pod{}, 0, cache.Indexers{jobIndex: indexByJob})
	c := &PodCache{controllerID: controllerID, namespace: namespace, informer: informer, clock: clock, unobserved: map[string][]unobservedPod{}, lost: map[types.UID]*PodRecord{}}
	if err := informer.SetTransform(c.trimPod); err != nil {
		return nil, fmt.Errorf("trim pods: %w", err)
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.observe,
		UpdateFunc: func(_, pod any) { c.observe(pod) },
		DeleteFunc: c.observe,
	})
	if err != nil {
		return nil, fmt.Errorf("follow pods: %w", err)
	}
	return c, nil
}

// podLists lists and watches pods with a job's UUID. The first list is read
// from the store itself, not from an API server's cache: a new leader must not
// count too few.
func podLists(client kubernetes.Interface, namespace string) cache.ListerWatcher {
	lists := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = contract.JobUUIDLabel
			if options.ResourceVersion == "0" {
				options.ResourceVersion = ""
			}
			return client.CoreV1().Pods(namespace).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = contract.JobUUIDLabel
			return client.CoreV1().Pods(namespace).Watch(ctx, options)
		},
	}
	return cache.ToListWatcherWithWatchListSemantics(lists, client)
}

// indexByJob indexes the pods whose names do not tell their jobs.
func indexByJob(object any) ([]string, error) {
	record, isRecord := object.(*PodRecord)
	if !isRecord {
		return nil, fmt.Errorf("index pod: unexpected %T", object)
	}
	if record.Name == jobpod.PodName(record.JobUUID()) {
		return nil, nil
	}
	return []string{record.JobUUID()}, nil
}

// area names the cache for problems.
func (c *PodCache) area() string {
	return "list of pods in " + c.namespace
}

// Run follows the pods until the context ends.
func (c *PodCache) Run(ctx context.Context) {
	c.informer.RunWithContext(ctx)
}

// Synced reports whether the cache has been filled once.
func (c *PodCache) Synced() bool {
	return c.informer.HasSynced()
}

// recordOf returns the pod of an event, the last one known if the event itself
// was missed.
func recordOf(object any) (*PodRecord, bool) {
	if tombstone, isTombstone := object.(cache.DeletedFinalStateUnknown); isTombstone {
		object = tombstone.Obj
	}
	record, isRecord := object.(*PodRecord)
	return record, isRecord
}

// Lost returns this dispatcher's pods that have lost their jobs since it was last
// asked, even if they are gone by now.
func (c *PodCache) Lost() []*PodRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := slices.Collect(maps.Values(c.lost))
	clear(c.lost)
	return lost
}

// observe forgets a created pod that the watch has told of, and remembers one
// that has lost its job.
func (c *PodCache) observe(object any) {
	record, isRecord := recordOf(object)
	if !isRecord {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(record.JobUUID(), func(pod unobservedPod) bool { return pod.record.UID == record.UID })
	// The first to tell is nearest to the cause.
	if _, known := c.lost[record.UID]; !known && record.Loss != nil && record.OwnedBy(c.controllerID) && len(c.lost) < maxLost {
		c.lost[record.UID] = record
	}
}

// forget drops created pods of a job. The lock must be held.
func (c *PodCache) forget(job string, which func(unobservedPod) bool) {
	pods, found := c.unobserved[job]
	if !found {
		return
	}
	if pods = slices.DeleteFunc(pods, which); len(pods) == 0 {
		delete(c.unobserved, job)
	} else {
		c.unobserved[job] = pods
	}
}

// Created counts a pod from the moment its creation was answered.
func (c *PodCache) Created(record *PodRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	job := record.JobUUID()
	c.unobserved[job] = append(c.unobserved[job], unobservedPod{record: record, since: time.Now()})
}

// ForJob returns the pods that carry a job's UUID.
func (c *PodCache) ForJob(uuid string) []*PodRecord {
	return merge(c.stillUnobserved(uuid), func() []any {
		objects, err := c.informer.GetIndexer().ByIndex(jobIndex, uuid)
		if err != nil {
			// The index was given to the informer above.
			panic("look up pods by job: " + err.Error())
		}
		named, _, err := c.informer.GetIndexer().GetByKey(cache.NewObjectName(c.namespace, jobpod.PodName(uuid)).String())
		if record, isRecord := recordOf(named); err == nil && isRecord && record.JobUUID() == uuid {
			objects = append(objects, named)
		}
		return objects
	})
}

// Own returns this dispatcher's pods.
func (c *PodCache) Own() []*PodRecord {
	records := merge(c.allUnobserved(), c.informer.GetIndexer().List)
	return slices.DeleteFunc(records, func(pod *PodRecord) bool { return !pod.OwnedBy(c.controllerID) })
}

// merge returns the pods that the informer holds, and those created that it does
// not hold yet. The created ones have been read first: a pod that moves over
// meanwhile is seen twice, and not missed.
func merge(created map[types.UID]*PodRecord, held func() []any) []*PodRecord {
	objects := held()
	records := make([]*PodRecord, 0, len(objects)+len(created))
	for _, object := range objects {
		if record, isRecord := object.(*PodRecord); isRecord {
			delete(created, record.UID)
			records = append(records, record)
		}
	}
	for _, record := range created {
		records = append(records, record)
	}
	return records
}

// stillUnobserved returns a job's created pods that no event has told of, and
// forgets those whose events a relist has swallowed. It is nil if there are none.
func (c *PodCache) stillUnobserved(job string) map[types.UID]*PodRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.collect(nil, job)
}

// allUnobserved is stillUnobserved of all jobs.
func (c *PodCache) allUnobserved() map[types.UID]*PodRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	var records map[types.UID]*PodRecord
	for job := range c.unobserved {
		records = c.collect(records, job)
	}
	return records
}

// collect adds a job's created pods to records. The lock must be held.
func (c *PodCache) collect(records map[types.UID]*PodRecord, job string) map[types.UID]*PodRecord {
	c.forget(job, func(pod unobservedPod) bool {
		return time.Since(pod.since) > unobservedPatience && c.isPast(pod.record.ResourceVersion)
	})
	for _, pod := range c.unobserved[job] {
		if records == nil {
			records = map[types.UID]*PodRecord{}
		}
		records[pod.record.UID] = pod.record
	}
	return records
}

// isPast reports whether the watch has got to this version.
func (c *PodCache) isPast(version string) bool {
	order, err := resourceversion.CompareResourceVersion(c.informer.LastSyncResourceVersion(), version)
	return err == nil && order >= 0
}

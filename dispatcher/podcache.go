package dispatcher

import (
	"context"
	"fmt"
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

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	jobIndex = "job-uuid"
	// unobservedPatience is how long a created pod is counted although no
	// event came and the watch is already past its version: a relist swallows
	// the events of a pod that was created and deleted meanwhile.
	unobservedPatience = 30 * time.Second
)

// PodCache follows the pods of a namespace that carry a job's UUID, whoever
// made them, as records. It is safe for concurrent use.
type PodCache struct {
	controllerID string
	namespace    string
	informer     cache.SharedIndexInformer

	mu         sync.Mutex
	unobserved map[types.UID]unobservedPod
}

// unobservedPod was created, but the watch has not told of it yet.
type unobservedPod struct {
	record *PodRecord
	since  time.Time
}

// NewPodCache makes a cache of the namespace's job pods. Run fills it.
func NewPodCache(client kubernetes.Interface, namespace, controllerID string) (*PodCache, error) {
	informer := cache.NewSharedIndexInformer(podLists(client, namespace), &corev1.Pod{}, 0, cache.Indexers{jobIndex: indexByJob})
	c := &PodCache{controllerID: controllerID, namespace: namespace, informer: informer, unobserved: map[types.UID]unobservedPod{}}
	if err := informer.SetTransform(trimPod); err != nil {
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

func indexByJob(object any) ([]string, error) {
	record, isRecord := object.(*PodRecord)
	if !isRecord {
		return nil, fmt.Errorf("index pod: unexpected %T", object)
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

// observe forgets a created pod that the watch has told of.
func (c *PodCache) observe(object any) {
	if tombstone, isTombstone := object.(cache.DeletedFinalStateUnknown); isTombstone {
		object = tombstone.Obj
	}
	record, isRecord := object.(*PodRecord)
	if !isRecord {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unobserved, record.UID)
}

// Created counts a pod from the moment its creation was answered.
func (c *PodCache) Created(record *PodRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unobserved[record.UID] = unobservedPod{record: record, since: time.Now()}
}

// ForJob returns the pods that carry a job's UUID.
func (c *PodCache) ForJob(uuid string) []*PodRecord {
	return c.withUnobserved(func() []any {
		objects, err := c.informer.GetIndexer().ByIndex(jobIndex, uuid)
		if err != nil {
			// The index was given to the informer above.
			panic("look up pods by job: " + err.Error())
		}
		return objects
	}, func(pod *PodRecord) bool { return pod.JobUUID() == uuid })
}

// Own returns this dispatcher's pods.
func (c *PodCache) Own() []*PodRecord {
	return c.withUnobserved(c.informer.GetIndexer().List, func(pod *PodRecord) bool { return pod.OwnedBy(c.controllerID) })
}

// withUnobserved returns the pods that the informer holds, and those created
// that it does not hold yet, as far as they are wanted. The created ones are
// read first: a pod that moves over meanwhile is seen twice, and not missed.
func (c *PodCache) withUnobserved(held func() []any, want func(*PodRecord) bool) []*PodRecord {
	created := c.stillUnobserved()
	var records []*PodRecord
	for _, object := range held() {
		record, isRecord := object.(*PodRecord)
		if !isRecord {
			continue
		}
		delete(created, record.UID)
		if want(record) {
			records = append(records, record)
		}
	}
	for _, record := range created {
		if want(record) {
			records = append(records, record)
		}
	}
	return records
}

// stillUnobserved returns created pods that no event has told of, and forgets
// those whose events a relist has swallowed.
func (c *PodCache) stillUnobserved() map[types.UID]*PodRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	records := make(map[types.UID]*PodRecord, len(c.unobserved))
	for uid, pod := range c.unobserved {
		if time.Since(pod.since) > unobservedPatience && c.isPast(pod.record.ResourceVersion) {
			delete(c.unobserved, uid)
		} else {
			records[uid] = pod.record
		}
	}
	return records
}

// isPast reports whether the watch has got to this version.
func (c *PodCache) isPast(version string) bool {
	order, err := resourceversion.CompareResourceVersion(c.informer.LastSyncResourceVersion(), version)
	return err == nil && order >= 0
}

package dispatcher

// podCaches are the caches of all namespaces with pods of jobs.
type podCaches []*PodCache

var _ Pods = podCaches(nil)

// ForJob returns the pods that carry a job's UUID, in any namespace.
func (c podCaches) ForJob(uuid string) []*PodRecord {
	var pods []*PodRecord
	for _, cache := range c {
		pods = append(pods, cache.ForJob(uuid)...)
	}
	return pods
}

// Own returns this dispatcher's pods in all namespaces.
func (c podCaches) Own() []*PodRecord {
	if len(c) == 1 {
		return c[0].Own()
	}
	var pods []*PodRecord
	for _, cache := range c {
		pods = append(pods, cache.Own()...)
	}
	return pods
}

// Lost returns this dispatcher's pods that have lost their jobs.
func (c podCaches) Lost() []*PodRecord {
	var pods []*PodRecord
	for _, cache := range c {
		pods = append(pods, cache.Lost()...)
	}
	return pods
}

// Created counts a pod from the moment its creation was answered.
func (c podCaches) Created(pod *PodRecord) {
	for _, cache := range c {
		if cache.namespace == pod.Namespace {
			cache.Created(pod)
		}
	}
}

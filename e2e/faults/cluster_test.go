package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	podsPath   = "/api/v1/namespaces/jobs/pods"
	leasesPath = "/apis/coordination.k8s.io/v1/namespaces/buildkite/leases"
)

// errRefused is what a client gets while no API server listens.
var errRefused = errors.New("connection refused")

// cluster is an API server with the pods of one namespace and the leases of
// another, in memory, with a mutator that leaves its receipt. It is a transport:
// no network, so that time can be simulated.
type cluster struct {
	mu sync.Mutex
	// ahead is how far its clock is ahead of the dispatcher's.
	ahead time.Duration
	// uids counts all pods, creations those that were not trials.
	uids, creations int
	pods            map[string]*corev1.Pod
	leases          map[string]*coordinationv1.Lease

	// version is the store's; events are what watches tell of, those up to
	// compacted are forgotten.
	version, compacted int
	events             []podEvent
	changed            chan struct{}

	// fault answers in place of the API server, if it is set and returns an
	// error; a StatusError is an answer. It is called with the lock held.
	fault func(verb, path string) error
	// losesAnswers has creations carried out and their answers lost; isStalled
	// keeps what happens from watches.
	losesAnswers, isStalled bool
	// requests counts what was asked, by verb and path, and answers by code.
	requests map[string]int
	answers  map[int]int
	// watching counts open watches.
	watching int
	broken   chan struct{}
}

type podEvent struct {
	version int
	kind    watch.EventType
	pod     *corev1.Pod
}

func newCluster() *cluster {
	return &cluster{
		pods: map[string]*corev1.Pod{}, leases: map[string]*coordinationv1.Lease{}, version: 1,
		requests: map[string]int{}, answers: map[int]int{}, changed: make(chan struct{}), broken: make(chan struct{}),
	}
}

// clientOver returns a client with a clock that its transport tells the time.
func clientOver(t *testing.T, transport http.RoundTripper) (kubernetes.Interface, *dispatcher.ClusterClock) {
	t.Helper()
	clock := &dispatcher.ClusterClock{}
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: "http://cluster.test", QPS: -1, Transport: clock.Wrap(transport),
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, clock
}

func (c *cluster) RoundTrip(request *http.Request) (*http.Response, error) {
	verb, path := strings.ToLower(request.Method), request.URL.Path
	query := request.URL.Query()
	if query.Get("watch") != "" {
		verb = "watch"
	}
	if query.Get("dryRun") != "" && verb == "post" {
		verb = "try"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[verb+" "+resourceOf(path)]++
	var answer any
	var err error
	if c.fault != nil {
		err = c.fault(verb, path)
	}
	if err == nil && verb == "watch" {
		body, watchErr := c.watch(request)
		if watchErr == nil {
			return c.respond(request, http.StatusOK, body), nil
		}
		err = watchErr
	} else if err == nil {
		answer, err = c.handle(verb, path, request)
	}
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		body := status.Status()
		body.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		return c.respond(request, int(body.Code), encode(body)), nil
	case err != nil:
		return nil, err
	default:
		return c.respond(request, http.StatusOK, encode(answer)), nil
	}
}

func resourceOf(path string) string {
	for _, resource := range []string{"pods", "leases", "events", "podtemplates"} {
		if strings.Contains(path, "/"+resource) {
			return resource
		}
	}
	return path
}

func encode(value any) io.ReadCloser {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return io.NopCloser(bytes.NewReader(text))
}

func (c *cluster) respond(request *http.Request, code int, body io.ReadCloser) *http.Response {
	c.answers[code]++
	return &http.Response{
		StatusCode: code, Status: strconv.Itoa(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request, Body: body,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {c.now().UTC().Format(http.TimeFormat)}},
	}
}

// now is the API server's time.
func (c *cluster) now() time.Time { return time.Now().Add(c.ahead) }

func (c *cluster) handle(verb, path string, request *http.Request) (any, error) {
	name := path[strings.LastIndex(path, "/")+1:]
	switch {
	case verb == "get" && path == podsPath:
		list := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		list.ResourceVersion = strconv.Itoa(c.version)
		for _, name := range slices.Sorted(maps.Keys(c.pods)) {
			list.Items = append(list.Items, *c.pods[name])
		}
		return list, nil
	case (verb == "post" || verb == "try") && path == podsPath:
		return c.create(request, verb == "try")
	case verb == "get" && strings.HasPrefix(path, podsPath+"/"):
		if pod := c.pods[name]; pod != nil {
			return pod, nil
		}
		return nil, notFound("pods", name)
	case verb == "delete" && strings.HasPrefix(path, podsPath+"/"):
		return c.delete(request, name)
	case strings.HasPrefix(path, leasesPath):
		return c.lease(verb, name, request)
	case strings.HasSuffix(path, "/events") || strings.Contains(path, "/events/"):
		return &corev1.Event{TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "event"}}, nil
	default:
		return nil, notFound("things", path)
	}
}

func notFound(resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}

func decode(request *http.Request, into any) {
	if err := json.NewDecoder(request.Body).Decode(into); err != nil {
		panic(err)
	}
}

func (c *cluster) create(request *http.Request, isTrial bool) (any, error) {
	pod := &corev1.Pod{}
	decode(request, pod)
	if c.pods[pod.Name] != nil {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "pods"}, pod.Name)
	}
	c.uids++
	pod.UID, pod.Namespace = types.UID(fmt.Sprintf("uid-%d", c.uids)), "jobs"
	pod.CreationTimestamp = metav1.NewTime(c.now().Truncate(time.Second))
	pod.Annotations[contract.InjectedAnnotation] = "{}"
	pod.Spec.SchedulingGates = nil
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: contract.AgentContainer, Image: "agent"})
	pod.Status.Phase = corev1.PodPending
	if isTrial {
		return pod, nil
	}
	c.creations++
	c.put(watch.Added, pod)
	if c.losesAnswers {
		return nil, io.ErrUnexpectedEOF
	}
	return pod, nil
}

// put stores a pod as it is now, and tells watches.
func (c *cluster) put(kind watch.EventType, pod *corev1.Pod) {
	c.version++
	stored := pod.DeepCopy()
	stored.ResourceVersion = strconv.Itoa(c.version)
	pod.ResourceVersion = stored.ResourceVersion
	stored.Kind, stored.APIVersion = "Pod", "v1"
	if kind == watch.Deleted {
		delete(c.pods, pod.Name)
	} else {
		c.pods[pod.Name] = stored
	}
	c.events = append(c.events, podEvent{c.version, kind, stored})
	close(c.changed)
	c.changed = make(chan struct{})
}

// delete takes a pod away at once if no node has it, or if that is asked for; the
// kubelet ends others (see end).
func (c *cluster) delete(request *http.Request, name string) (any, error) {
	options := &metav1.DeleteOptions{}
	decode(request, options)
	pod := c.pods[name]
	resource := schema.GroupResource{Resource: "pods"}
	switch given := options.Preconditions; {
	case pod == nil:
		return nil, notFound("pods", name)
	case given != nil && given.UID != nil && *given.UID != pod.UID,
		given != nil && given.ResourceVersion != nil && *given.ResourceVersion != pod.ResourceVersion:
		return nil, apierrors.NewConflict(resource, name, errors.New("precondition"))
	}
	c.remove(pod, options.GracePeriodSeconds)
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, nil
}

func (c *cluster) remove(pod *corev1.Pod, grace *int64) {
	changed := pod.DeepCopy()
	isHeld := pod.Status.Phase == corev1.PodRunning && (grace == nil || *grace > 0)
	if !isHeld {
		c.put(watch.Deleted, changed)
		return
	}
	if changed.DeletionTimestamp == nil {
		seconds := int64(30)
		changed.DeletionGracePeriodSeconds = &seconds
		changed.DeletionTimestamp = &metav1.Time{Time: c.now().Add(30 * time.Second).Truncate(time.Second)}
		c.put(watch.Modified, changed)
	}
}

// lease keeps leases as the API server does: an update needs the current version.
func (c *cluster) lease(verb, name string, request *http.Request) (any, error) {
	resource := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	if verb == "get" {
		if held := c.leases[name]; held != nil {
			return held, nil
		}
		return nil, apierrors.NewNotFound(resource, name)
	}
	wanted := &coordinationv1.Lease{}
	decode(request, wanted)
	held := c.leases[wanted.Name]
	if held != nil && (verb == "post" || wanted.ResourceVersion != held.ResourceVersion) {
		return nil, apierrors.NewConflict(resource, wanted.Name, errors.New("the object has been modified"))
	}
	c.version++
	wanted.ResourceVersion = strconv.Itoa(c.version)
	wanted.Kind, wanted.APIVersion = "Lease", "coordination.k8s.io/v1"
	c.leases[wanted.Name] = wanted
	return wanted, nil
}

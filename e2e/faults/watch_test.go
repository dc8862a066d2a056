package faults

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// watch begins a watch: with all pods, if that is asked for, or after a version,
// which must not be compacted yet. The lock is held.
func (c *cluster) watch(request *http.Request) (io.ReadCloser, error) {
	query := request.URL.Query()
	after := c.version
	var first []podEvent
	if query.Get("sendInitialEvents") == "true" {
		for _, name := range slices.Sorted(maps.Keys(c.pods)) {
			first = append(first, podEvent{kind: watch.Added, pod: c.pods[name]})
		}
		end := &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}}
		end.ResourceVersion = strconv.Itoa(c.version)
		end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		first = append(first, podEvent{kind: watch.Bookmark, pod: end})
	} else if text := query.Get("resourceVersion"); text != "" {
		version, err := strconv.Atoi(text)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if version < c.compacted {
			return nil, apierrors.NewResourceExpired("too old resource version")
		}
		after = version
	}
	reader, writer := io.Pipe()
	c.watching++
	go c.tell(request, writer, first, after, c.broken)
	return reader, nil
}

// tell writes events until the client goes or the watch is broken.
func (c *cluster) tell(request *http.Request, writer *io.PipeWriter, events []podEvent, after int, broken chan struct{}) {
	defer func() {
		writer.CloseWithError(io.EOF)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watching--
	}()
	lines := json.NewEncoder(writer)
	for {
		for _, event := range events {
			if err := lines.Encode(map[string]any{"type": event.kind, "object": event.pod}); err != nil {
				return
			}
		}
		c.mu.Lock()
		events = nil
		if !c.isStalled {
			for _, event := range c.events {
				if event.version > after {
					events = append(events, event)
				}
			}
			after = c.version
		}
		changed := c.changed
		c.mu.Unlock()
		if len(events) > 0 {
			continue
		}
		select {
		case <-request.Context().Done():
			return
		case <-broken:
			return
		case <-changed:
		}
	}
}

// breakWatches ends all watches.
func (c *cluster) breakWatches() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.broken)
	c.broken = make(chan struct{})
}

// compact forgets all that has happened so far: a watch cannot go on from there.
func (c *cluster) compact() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.compacted, c.events = c.version, nil
}

// refuse answers these requests, and no others, with the error until it is called
// again.
func (c *cluster) refuse(which func(verb, path string) bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = func(verb, path string) error {
		if which(verb, path) {
			return err
		}
		return nil
	}
}

// recover ends what refuse began.
func (c *cluster) recover() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = nil
}

// answered returns how many answers had a status.
func (c *cluster) answered(code int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[code]
}

func isWrite(verb, _ string) bool { return verb == "post" || verb == "delete" || verb == "put" }

func everything(string, string) bool { return true }

func creations(verb, path string) bool { return verb == "post" && path == podsPath }

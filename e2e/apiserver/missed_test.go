package apiserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// The API server is restarted, and meanwhile three of five pods go from its store,
// which is then compacted: no watch can tell of it. The dispatcher lists anew, and
// fills the places that are free, and no others.
func TestMissedDeletions(t *testing.T) {
	bed, err := testbed.Up(t.Context(), testbed.Options{Bin: bin, Manifests: manifests, Audit: true})
	t.Cleanup(func() {
		if err := bed.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := bed.StartDispatcher(controlplane.DispatcherOptions{Name: "dispatcher", Arguments: []string{"--max-in-flight=5"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Stop(30 * time.Second)
		if t.Failed() {
			t.Log(d.Tail(40))
		}
	})
	if err := d.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := bed.Schedule(20); err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		pods, err := bed.Plane.Client().CoreV1().Pods(controlplane.JobNamespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Log(err)
			return nil
		}
		var names []string
		for _, pod := range pods.Items {
			names = append(names, pod.Name+" "+string(pod.UID))
		}
		return names
	}
	eventually(t, "five pods", func() bool { return len(names()) == 5 })
	time.Sleep(2 * time.Second) // the dispatcher's watch tells of all
	before, listed := names(), initialLists(t, bed.Plane)

	bed.Plane.StopAPIServer()
	keys := etcdKeys(t, bed.Plane, "/registry/pods/"+controlplane.JobNamespace+"/")
	if len(keys) != 5 {
		t.Fatalf("%d pods in the store", len(keys))
	}
	var revision json.Number
	for _, key := range keys[:3] {
		answer := etcd(t, bed.Plane, "kv/deleterange", map[string]any{"key": key})
		revision = json.Number(answer.Header.Revision)
	}
	etcd(t, bed.Plane, "kv/compaction", map[string]any{"revision": revision.String(), "physical": true})
	if err := bed.Plane.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}

	eventually(t, "five pods again", func() bool { return len(names()) == 5 })
	time.Sleep(20 * time.Second)
	after := names()
	kept := 0
	for _, name := range after {
		if slices.Contains(before, name) {
			kept++
		}
	}
	if len(after) != 5 || kept != 2 {
		t.Errorf("%d pods, 5 may be in flight; %d of them were there before, want the 2 that were not deleted", len(after), kept)
	}
	metrics, err := controlplane.ReadMetrics(t.Context(), d.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	if count := metrics.Sum("buildkite_dispatcher_pods_in_flight"); count != 5 {
		t.Errorf("the dispatcher counts %v pods", count)
	}
	if again := initialLists(t, bed.Plane); again <= listed {
		t.Errorf("the dispatcher has listed all pods %d times, %d before", again, listed)
	}
}

// initialLists counts how often the dispatcher asked for all pods.
func initialLists(t *testing.T, plane *controlplane.Plane) int {
	t.Helper()
	time.Sleep(1500 * time.Millisecond) // the log is written once a second
	requests, err := plane.Requests()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, request := range requests {
		if request.Resource == "pods" && (request.Initial || request.Verb == "list") {
			count++
		}
	}
	return count
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// etcdAnswer is what is read of the store's answers.
type etcdAnswer struct {
	Header struct {
		Revision string `json:"revision"`
	} `json:"header"`
	Keys []struct {
		Key string `json:"key"`
	} `json:"kvs"`
}

// etcd asks the API server's store.
func etcd(t *testing.T, plane *controlplane.Plane, path string, body map[string]any) etcdAnswer {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(plane.EtcdURL()+"/v3/"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %s", path, response.Status, err, answered)
	}
	var answer etcdAnswer
	if err := json.Unmarshal(answered, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// etcdKeys returns the keys with a prefix, in base64 as the store's gateway has them.
func etcdKeys(t *testing.T, plane *controlplane.Plane, prefix string) []string {
	t.Helper()
	end := []byte(prefix)
	end[len(end)-1]++
	answer := etcd(t, plane, "kv/range", map[string]any{
		"key": base64.StdEncoding.EncodeToString([]byte(prefix)), "range_end": base64.StdEncoding.EncodeToString(end), "keys_only": true,
	})
	var keys []string
	for _, one := range answer.Keys {
		keys = append(keys, one.Key)
	}
	return keys
}

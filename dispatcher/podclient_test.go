package dispatcher

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// apiServer answers like an API server and keeps the last request.
type apiServer struct {
	status       int
	answer       string
	path, query  string
	method, body string
	accept       string
}

func (s *apiServer) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	s.path, s.query, s.method, s.body = request.URL.Path, request.URL.RawQuery, request.Method, string(body)
	s.accept = request.Header.Get("Accept")
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(s.status)
	_, _ = io.WriteString(writer, s.answer)
}

func podClientFor(t *testing.T, server *apiServer) *PodClient {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: listener.URL, QPS: -1, ContentConfig: rest.ContentConfig{
		ContentType: "application/vnd.kubernetes.protobuf", AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return NewPodClient(client, nil)
}

func TestSubmitSendsThePodAsItIs(t *testing.T) {
	server := &apiServer{status: 201, answer: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"jobs","uid":"u",
		"annotations":{"buildkite.com/injected":"{}"}},"spec":{"future":1,"containers":[]}}`}
	pod, errs := jobpod.Pod(withPlugin(`{"podSpec":{"containers":[{"image":"a","future":{"deep":1.50}}]}}`), jobpod.PodSettings{Namespace: "jobs"}, nil)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	created, err := podClientFor(t, server).Submit(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	if !created.Injected || created.Gated || created.UID != "u" {
		t.Errorf("read %+v from the answer", created)
	}
	if server.method != "POST" || server.path != "/api/v1/namespaces/jobs/pods" || server.query != "fieldValidation=Strict" {
		t.Errorf("sent %s %s?%s", server.method, server.path, server.query)
	}
	if !strings.Contains(server.body, `"future":{"deep":1.50}`) {
		t.Errorf("an unknown field was lost: %s", server.body)
	}
}

func TestSubmitKeepsTheServersAnswer(t *testing.T) {
	server := &apiServer{status: 409, answer: `{"kind":"Status","apiVersion":"v1","code":409,"reason":"AlreadyExists","message":"pods \"p\" already exists"}`}
	pod, _ := jobpod.Pod(jobpod.Job{UUID: goldenUUID}, jobpod.PodSettings{Namespace: "jobs"}, nil)
	_, err := podClientFor(t, server).Submit(t.Context(), pod)
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("got %v", err)
	}
}

func TestDeleteHasPreconditions(t *testing.T) {
	for name, unchanged := range map[string]bool{"this very pod": false, "only unchanged": true} {
		t.Run(name, func(t *testing.T) {
			server := &apiServer{status: 200, answer: `{"kind":"Status","apiVersion":"v1","status":"Success"}`}
			record := &PodRecord{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "jobs", UID: "u", ResourceVersion: "7"}}
			client := podClientFor(t, server)
			if err := client.Delete(t.Context(), record, unchanged); err != nil {
				t.Fatal(err)
			}
			if server.method != http.MethodDelete || !strings.Contains(server.body, "u") {
				t.Errorf("%s without the UID: %q", server.method, server.body)
			}
			if got := strings.Contains(server.body, "7"); got != unchanged {
				t.Errorf("the version is sent: %v, want %v", got, unchanged)
			}
		})
	}
}

func TestTryCreatesNothing(t *testing.T) {
	server := &apiServer{status: 201, answer: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"schedulingGates":[{"name":"buildkite.com/inject"}],"containers":[]}}`}
	pod, _ := jobpod.Pod(jobpod.Job{UUID: goldenUUID}, jobpod.PodSettings{Namespace: "jobs"}, nil)
	tried, err := podClientFor(t, server).Try(t.Context(), pod)
	if err != nil || !tried.Gated || tried.Injected {
		t.Errorf("read %+v, %v", tried, err)
	}
	if server.query != "dryRun=All&fieldValidation=Strict" {
		t.Errorf("sent %q", server.query)
	}
}

func TestForceDoesNotWait(t *testing.T) {
	server := &apiServer{status: 200, answer: `{"kind":"Status","apiVersion":"v1","status":"Success"}`}
	record := &PodRecord{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "jobs", UID: "this-very-uid", ResourceVersion: "7"}}
	client := podClientFor(t, server)
	if err := client.Force(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	options := &metav1.DeleteOptions{}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(server.body), nil, options); err != nil {
		t.Fatal(err)
	}
	if options.GracePeriodSeconds == nil || *options.GracePeriodSeconds != 0 || *options.Preconditions.UID != "this-very-uid" {
		t.Errorf("sent %+v", options)
	}
}

func TestReadMissingPod(t *testing.T) {
	status, err := json.Marshal(apierrors.NewNotFound(podResource, "p").ErrStatus)
	if err != nil {
		t.Fatal(err)
	}
	server := &apiServer{status: 404, answer: string(status)}
	if _, err := podClientFor(t, server).Read(t.Context(), "jobs", "p"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

func TestTemplateKeepsUnknownFields(t *testing.T) {
	server := &apiServer{status: 200, answer: `{"kind":"PodTemplate","apiVersion":"v1","metadata":{"name":"base"},"template":{"metadata":{},"spec":{"future":1.50}}}`}
	template, err := podClientFor(t, server).Template(t.Context(), "jobs", "base")
	if err != nil || string(template) != `{"future":1.50}` {
		t.Errorf("got %s, %v", template, err)
	}
	if server.path != "/api/v1/namespaces/jobs/podtemplates/base" || server.accept != "application/json" {
		t.Errorf("asked for %s as %s", server.path, server.accept)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram has the test's binary be the dispatcher itself.
const asProgram = "TEST_AS_DISPATCHER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// servers are Buildkite, with one scheduled job and without clusters, and an API
// server, as little of both as one job needs.
type servers struct {
	buildkite, cluster *httptest.Server

	mu sync.Mutex
	// token is the one that Buildkite takes.
	token string
	// refused counts requests with another.
	refused int
	// pods are those created, by name; hold keeps a creation's answer until it is
	// closed, and held is closed once there is one to keep.
	pods       map[string]bool
	hold, held chan struct{}
}

const jobUUID = "01920000-0000-4000-8000-000000000001"

func newServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{token: "first", pods: map[string]bool{}}
	s.buildkite, s.cluster = httptest.NewServer(http.HandlerFunc(s.serveBuildkite)), httptest.NewServer(http.HandlerFunc(s.serveCluster))
	t.Cleanup(s.buildkite.Close)
	t.Cleanup(func() { s.cluster.CloseClientConnections(); s.cluster.Close() })
	return s
}

func (s *servers) serveBuildkite(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var query struct {
		OperationName string `json:"operationName"`
	}
	_ = json.NewDecoder(r.Body).Decode(&query)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.token:
		s.refused++
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"message":"Authentication required"}]}`)
	case query.OperationName == "countJobs":
		_, _ = io.WriteString(w, `{"data":{"organization":{"jobs":{"count":1}}}}`)
	case query.OperationName == "scheduledJobs":
		fmt.Fprintf(w, `{"data":{"organization":{"jobs":{"count":1,"edges":[{"cursor":"c","node":{"__typename":"JobTypeCommand","uuid":%q,"url":"https://x/1","env":[],
			"agentQueryRules":["queue=kubernetes"],"scheduledAt":"2030-01-01T00:00:00Z","createdAt":"2030-01-01T00:00:00Z","priority":{"number":0}}}]}}}}`, jobUUID)
	default:
		fmt.Fprintf(w, `{"data":{"job0":{"uuid":%q,"state":"SCHEDULED"}}}`, jobUUID)
	}
}

func (s *servers) serveCluster(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case query.Get("watch") != "":
		_, _ = io.WriteString(w, `{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pods"):
		s.create(w, r, query.Get("dryRun") != "")
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound"}`)
	}
}

func (s *servers) create(w http.ResponseWriter, r *http.Request, isTrial bool) {
	var pod map[string]any
	if err := json.NewDecoder(r.Body).Decode(&pod); err != nil {
		panic(err)
	}
	metadata := pod["metadata"].(map[string]any)
	metadata["uid"], metadata["resourceVersion"], metadata["creationTimestamp"] = "u", "7", time.Now().UTC().Format(time.RFC3339)
	metadata["annotations"].(map[string]any)["buildkite.com/injected"] = "{}"
	delete(pod["spec"].(map[string]any), "schedulingGates")
	if !isTrial {
		s.mu.Lock()
		s.pods[metadata["name"].(string)] = true
		hold := s.hold
		if s.held != nil {
			close(s.held)
			s.held = nil
		}
		s.mu.Unlock()
		if hold != nil {
			<-hold
		}
	}
	w.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(w).Encode(pod); err != nil {
		panic(err)
	}
}

// podNames returns the names of all pods that were created.
func (s *servers) podNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.pods))
}

// process is a dispatcher that runs as a program of its own.
type process struct {
	*exec.Cmd
	log     *output
	probes  string
	ended   chan struct{}
	failure error
}

// output is a log that is read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(line)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts a dispatcher between the servers, with the token in a file.
func (s *servers) start(t *testing.T, tokenFile string) *process {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: %q}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\nusers: [{name: x, user: {}}]\n", s.cluster.URL)
	if err := os.WriteFile(kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	probes := listener.Addr().String()
	listener.Close()
	p := &process{log: &output{}, probes: "http://" + probes, ended: make(chan struct{})}
	p.Cmd = exec.CommandContext(t.Context(), os.Args[0], "--org=acme", "--kubeconfig="+kubeconfig, "--buildkite-token-file="+tokenFile,
		"--graphql-endpoint="+s.buildkite.URL, "--namespace=jobs", "--http-address="+probes, "--poll-interval=1s")
	p.Env, p.Stdout, p.Stderr = []string{asProgram + "=1"}, p.log, p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.failure = p.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

// ready is what the readiness probe says.
func (p *process) ready(t *testing.T) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.probes+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The token in the file is revoked: the dispatcher is not ready and says why. A new
// one in the same file is taken up by the same process.
func TestTokenFileIsReadAgain(t *testing.T) {
	s := newServers(t)
	tokenFile := filepath.Join(t.TempDir(), "token")
	write(t, tokenFile, "revoked\n")
	p := s.start(t, tokenFile)
	eventually(t, "not ready, for its token", func() bool {
		status, text := p.ready(t)
		return status == http.StatusServiceUnavailable && strings.Contains(text, "source/token-refused")
	})
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if refused == 0 || len(s.podNames()) > 0 || !strings.Contains(p.log.String(), "Buildkite refuses the API token: set --buildkite-token") {
		t.Errorf("%d requests were refused, pods %v", refused, s.podNames())
	}
	write(t, tokenFile, "first\n")
	eventually(t, "ready", func() bool { status, _ := p.ready(t); return status == http.StatusOK })
	eventually(t, "the job has its pod", func() bool { return len(s.podNames()) == 1 })
	if log := p.log.String(); strings.Contains(log, "revoked\n") || strings.Contains(log, "Bearer") {
		t.Error("the log has a token in it")
	}
}

// SIGTERM comes while a pod's creation is under way: the process waits for the
// answer, notes it, and ends well.
func TestTerminationFinishesWhatIsInHand(t *testing.T) {
	s := newServers(t)
	s.hold, s.held = make(chan struct{}), make(chan struct{})
	answer := sync.OnceFunc(func() { close(s.hold) })
	t.Cleanup(answer)
	tokenFile := filepath.Join(t.TempDir(), "token")
	write(t, tokenFile, "first\n")
	held := s.held
	p := s.start(t, tokenFile)
	select {
	case <-held:
	case <-time.After(30 * time.Second):
		t.Fatal("no pod is created")
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
		t.Error("it ended with a creation in hand")
	case <-time.After(500 * time.Millisecond):
	}
	answer()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it has not ended")
	}
	if log := p.log.String(); p.failure != nil || !strings.Contains(log, "created pod") || !strings.Contains(log, "stopped dispatching") {
		t.Errorf("it ended with %v", p.failure)
	}
}

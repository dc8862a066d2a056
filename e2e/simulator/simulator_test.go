package simulator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serve runs a simulator on loopback and returns it with a client.
func serve(t *testing.T, options Options) (*Simulator, *Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	options.PublicURL = "http://" + server.Listener.Addr().String() + "/"
	sim, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = sim.Handler()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		sim.Close()
		sim.Close() // twice is fine
	})
	return sim, &Client{URL: server.URL}
}

func TestNewNeedsAddress(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "PublicURL is required") {
		t.Errorf("have %v", err)
	}
}

// TestClient goes through what tests use, over HTTP.
func TestClient(t *testing.T) {
	sim, client := serve(t, Options{})
	ctx := t.Context()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "a.txt"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	repository, err := client.CreateRepositoryFrom(ctx, "sample", directory)
	if err != nil || repository.URL != client.URL+"/git/sample.git" || len(repository.Commit) != 40 {
		t.Fatalf("repository %+v, %v", repository, err)
	}
	build, err := client.CreateBuild(ctx, BuildRequest{
		Pipeline: "steps: [{command: 'echo $A $$B'}, {command: second}]", Interpolate: true, Repository: "sample", Env: map[string]string{"A": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	job := build.Jobs[0]
	if diff := cmp.Diff([]string{"echo 1 $B", repository.URL}, []string{job.Command, job.Env["BUILDKITE_REPO"]}); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	if _, err := client.SetQueuePaused(ctx, "", "default", true); err != nil {
		t.Fatal(err)
	}
	clusters, err := client.Clusters(ctx)
	if err != nil || len(clusters) != 1 || !clusters[0].Queues[0].DispatchPaused {
		t.Errorf("clusters %+v, %v", clusters, err)
	}
	if jobs, err := client.Jobs(ctx, "scheduled"); err != nil || len(jobs) != 2 {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	if _, err := client.CancelJob(ctx, job.UUID); err != nil {
		t.Fatal(err)
	}
	if _, err := client.WaitForJob(ctx, job.UUID, func(job Job) bool { return job.State == "running" }); err == nil {
		t.Error("waited for a canceled job to run, without an error")
	}
	if _, err := client.CancelBuild(ctx, build.UUID); err != nil {
		t.Fatal(err)
	}
	ended, err := client.WaitForBuild(ctx, build.UUID, nil)
	if err != nil || ended.State != "canceled" {
		t.Errorf("the build is %s, %v", ended.State, err)
	}
	if record, err := client.Record(ctx, job.UUID); err != nil || record.Cancels != 1 {
		t.Errorf("record %+v, %v", record, err)
	}
	report, err := client.Oracle(ctx)
	if err != nil || len(report.Records) != 2 || len(sim.Oracle().Violations()) != 0 {
		t.Errorf("report %+v, %v", report, err)
	}
	if builds, err := client.Builds(ctx); err != nil || len(builds) != 1 {
		t.Errorf("builds %+v, %v", builds, err)
	}
}

func TestClientErrors(t *testing.T) {
	_, client := serve(t, Options{})
	ctx := t.Context()
	cases := map[string]struct {
		call func() error
		want string
	}{
		"bad pipeline": {func() error {
			_, err := client.CreateBuild(ctx, BuildRequest{Pipeline: "steps: [{command: a, colour: b}]"})
			return err
		}, "422: steps[0]: colour"},
		"other organization": {func() error {
			_, err := client.CreateBuild(ctx, BuildRequest{Organization: "other", Pipeline: "[wait]"})
			return err
		}, `404: no organization "other"`},
		"unknown build":    {func() error { _, err := client.Build(ctx, "none"); return err }, `404: no build "none"`},
		"unknown job":      {func() error { _, err := client.Job(ctx, "none"); return err }, `404: no job "none"`},
		"unknown log":      {func() error { _, err := client.JobLog(ctx, "none"); return err }, `404: no job "none"`},
		"unknown agent":    {func() error { _, err := client.DirectAgent(ctx, "none", "pause"); return err }, `404: no agent "none"`},
		"unknown artifact": {func() error { _, err := client.DownloadArtifact(ctx, "none"); return err }, `404: no artifact "none"`},
		"bad repository":   {func() error { _, err := client.CreateRepository(ctx, RepositoryRequest{Name: "../x"}); return err }, "422: repository"},
		"nobody there":     {func() error { _, err := (&Client{URL: "http://127.0.0.1:1"}).Builds(ctx); return err }, "reach simulator"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := tc.call(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
		})
	}
}

// TestMiddleware: Buildkite's own APIs go through it, ours do not, and a panic in
// it ends one request only.
func TestMiddleware(t *testing.T) {
	panicking := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("injected") })
	}
	_, client := serve(t, Options{Middleware: []Middleware{panicking}})
	for _, path := range []string{"/graphql", "/v1", "/v3/ping"} {
		response, err := http.Post(client.URL+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
	if _, err := client.Builds(t.Context()); err != nil {
		t.Errorf("the simulator has not survived: %v", err)
	}
}

func TestPages(t *testing.T) {
	sim, client := serve(t, Options{})
	build, err := sim.CreateBuild(BuildRequest{Pipeline: `steps: [{command: make, label: "<b>label</b>"}, wait, {command: last}]`})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Store().Annotate(build.UUID, Annotation{Body: "<script>"}, false); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		path   string
		status int
		want   string
	}{
		"builds":        {"/", http.StatusOK, "pipeline #1"},
		"build":         {strings.TrimPrefix(build.URL, strings.TrimRight(client.URL, "/")), http.StatusOK, "&lt;b&gt;label&lt;/b&gt;"},
		"annotation":    {strings.TrimPrefix(build.URL, client.URL) + "?fragment=1", http.StatusOK, "&lt;script&gt;"},
		"job":           {"/jobs/" + build.Jobs[0].UUID, http.StatusOK, "No output yet."},
		"unknown job":   {"/jobs/none", http.StatusNotFound, ""},
		"unknown build": {"/example/pipeline/builds/9", http.StatusNotFound, ""},
		"other path":    {"/agentedge.v1.AgentEdgeService/StreamPings", http.StatusNotFound, ""},
		"other API":     {"/v2/user", http.StatusNotFound, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			response, err := http.Get(client.URL + tc.path)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.status || !strings.Contains(string(body), tc.want) {
				t.Errorf("status %d, want %d with %q:\n%s", response.StatusCode, tc.status, tc.want, body)
			}
		})
	}
}

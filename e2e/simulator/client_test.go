package simulator

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// graphql asks a simulator, as a dispatcher does.
func graphql(t *testing.T, client *Client, token, query string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, client.URL+"/graphql", strings.NewReader(`{"query": "`+query+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const listing = `query listing {organization(slug: \"example\") {jobs(first: 10) {count edges {node {... on JobTypeCommand {uuid state}}}}}}`

// TestScript pushes faults, waits for them and finds them on the page.
func TestScript(t *testing.T) {
	sim, client := serve(t, Options{})
	ctx := t.Context()
	if _, err := sim.CreateBuild(BuildRequest{Pipeline: `[{command: a}, {command: b}]`}); err != nil {
		t.Fatal(err)
	}
	added, err := client.AddFaults(ctx,
		Fault{API: "graphql", Operation: "listing", Kind: "status", Status: 503, Count: 1},
		Fault{API: "graphql", Operation: "listing", Kind: "vanish", Count: 1},
		Fault{API: "agent", Kind: "reset"},
	)
	if err != nil || len(added) != 3 {
		t.Fatalf("added %+v, %v", added, err)
	}
	if status, _ := graphql(t, client, "graphql-token", listing); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	if _, body := graphql(t, client, "graphql-token", listing); !strings.Contains(body, `"count":1`) {
		t.Errorf("no job has vanished: %s", body)
	}
	if _, body := graphql(t, client, "graphql-token", listing); !strings.Contains(body, `"count":2`) {
		t.Errorf("the job has not returned: %s", body)
	}
	for _, fault := range added[:2] {
		if got, err := client.WaitForFault(ctx, fault.ID, 1); err != nil || got.Hits != 1 {
			t.Errorf("fault %+v, %v", got, err)
		}
	}
	if _, err := client.WaitForFault(ctx, "none", 1); err == nil {
		t.Error("waited for a fault that does not exist")
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := client.WaitForFault(short, added[2].ID, 1); err == nil {
		t.Error("waited for a fault that has not happened")
	}
	if left, err := client.RemoveFault(ctx, ""); err != nil || len(left) != 3 {
		t.Errorf("left are %+v, %v", left, err)
	}
	if _, err := client.AddFaults(ctx, Fault{API: "graphql", Kind: "flood"}); err == nil || !strings.Contains(err.Error(), `422: fault: unknown kind "flood"`) {
		t.Errorf("have %v", err)
	}
	if faults := sim.Faults(); len(faults) != 3 {
		t.Errorf("faults %+v", faults)
	}
	wantPage(t, client, "vanish", "graphql listing", "1 of 1")
}

// TestUsage reads what queries cost, changes limits and tokens.
func TestUsage(t *testing.T) {
	_, client := serve(t, Options{GraphQLTokens: []string{"one", "two"}, Limits: PublishedLimits()})
	ctx := t.Context()
	graphql(t, client, "one", listing)
	graphql(t, client, "two", listing)
	graphql(t, client, "two", listing)
	usage, err := client.Usage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := []int{usage.Organization.Points, usage.Users[0].Points, usage.Users[1].Points, usage.Users[1].Operations["listing"].Points, usage.Users[1].Remaining, usage.Organization.Remaining}
	if diff := cmp.Diff([]int{9, 3, 6, 6, 4_994, 19_991}, got); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	wantPage(t, client, "6 points in 2 requests", "4994 left", "listing 6")
	if _, err := client.SetLimits(ctx, Limits{User: 3}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if status, body := graphql(t, client, "one", listing); status != want {
			t.Errorf("status %d, want %d: %s", status, want, body)
		}
	}
	for _, change := range []struct {
		request TokenRequest
		want    int
	}{
		{TokenRequest{Kind: "graphql", Token: "two", Revoked: true}, http.StatusUnauthorized},
		{TokenRequest{Kind: "graphql", Token: "two"}, http.StatusOK},
	} {
		if err := client.SetToken(ctx, change.request); err != nil {
			t.Fatal(err)
		}
		if status, _ := graphql(t, client, "two", listing); status != change.want {
			t.Errorf("after %+v status %d", change.request, status)
		}
	}
	if err := client.SetToken(ctx, TokenRequest{Kind: "agent", Token: "agent-token", Revoked: true}); err != nil {
		t.Error(err)
	}
	if err := client.SetToken(ctx, TokenRequest{Kind: "card"}); err == nil || !strings.Contains(err.Error(), "unknown kind of token") {
		t.Errorf("have %v", err)
	}
}

func wantPage(t *testing.T, client *Client, texts ...string) {
	t.Helper()
	response, err := http.Get(client.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(body), text) {
			t.Errorf("the page lacks %q:\n%s", text, body)
		}
	}
	if strings.Contains(string(body), "graphql-token") {
		t.Error("the page shows a token")
	}
}

// TestRetryJob runs a job, which fails, again.
func TestRetryJob(t *testing.T) {
	sim, client := serve(t, Options{})
	ctx := t.Context()
	build, err := sim.CreateBuild(BuildRequest{Pipeline: `[{command: a}]`})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.RetryJob(ctx, build.Jobs[0].UUID); err == nil || !strings.Contains(err.Error(), "422") {
		t.Errorf("a job that has not ended was retried: %v", err)
	}
	if _, err := client.CancelJob(ctx, build.Jobs[0].UUID); err != nil {
		t.Fatal(err)
	}
	retried, err := client.RetryJob(ctx, build.Jobs[0].UUID)
	if err != nil || retried.Job.RetriedInUUID != retried.RetriedIn.UUID || retried.RetriedIn.State != "scheduled" {
		t.Errorf("retried %+v, %v", retried, err)
	}
	verdict, err := client.Verdict(ctx)
	if err != nil || verdict.Open != 1 || verdict.Totals.Retried != 1 || len(verdict.Violations) > 0 {
		t.Errorf("verdict %+v, %v", verdict, err)
	}
	_, body := graphql(t, client, "graphql-token", `{job(uuid: \"`+retried.RetriedIn.UUID+`\") {... on JobTypeCommand {retriesCount retried retryType retrySource {... on JobTypeCommand {uuid retried retryType}} retryRules {manual automatic {exitStatus}}}}}`)
	want := `{"data":{"job":{"retriesCount":1,"retried":false,"retryType":null,"retrySource":{"uuid":"` + build.Jobs[0].UUID + `","retried":true,"retryType":"MANUAL"},"retryRules":{"manual":true,"automatic":[]}}}}`
	if diff := cmp.Diff(want, strings.TrimSpace(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLostAnswer: the agent sends finish again after an answer was lost, and the
// oracle does not hold it against it.
func TestLostAnswer(t *testing.T) {
	sim, client := serve(t, Options{})
	build, err := sim.CreateBuild(BuildRequest{Pipeline: `[{command: a}]`})
	if err != nil {
		t.Fatal(err)
	}
	job := build.Jobs[0].UUID
	send := func(token, path, body string) (int, string) {
		t.Helper()
		method := http.MethodPut
		if path == "register" {
			method = http.MethodPost
		}
		request, err := http.NewRequestWithContext(t.Context(), method, client.URL+"/v3/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Token "+token)
		request.Header.Set("X-Buildkite-Lock-Acquire-Job", "1")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	_, registered := send("agent-token", "register", `{"name": "n"}`)
	_, rest, _ := strings.Cut(registered, `"access_token":"`)
	access, _, _ := strings.Cut(rest, `"`)
	send(access, "jobs/"+job+"/acquire", "")
	send(access, "jobs/"+job+"/start", "{}")
	if _, err := sim.AddFaults(Fault{API: "agent", Operation: "PUT /v3/jobs/*/finish", Kind: "status", Status: 502, Count: 1, CarryOut: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusBadGateway, http.StatusUnprocessableEntity} {
		if status, body := send(access, "jobs/"+job+"/finish", `{"exit_status": "0"}`); status != want {
			t.Errorf("status %d, want %d: %s", status, want, body)
		}
	}
	record, err := client.Record(t.Context(), job)
	if err != nil || record.Finishes != 1 || record.FinishAttempts != 2 || record.Faults != 1 {
		t.Errorf("record %+v, %v", record, err)
	}
	if violations := sim.Oracle().Violations(); len(violations) > 0 {
		t.Error(violations)
	}
	send(access, "jobs/"+job+"/finish", `{"exit_status": "0"}`)
	if violations := sim.Oracle().Verdict().Violations; len(violations) != 1 {
		t.Errorf("a third finish: %v", violations)
	}
}

// TestUnclusteredSimulator is an organization without clusters, over HTTP.
func TestUnclusteredSimulator(t *testing.T) {
	sim, client := serve(t, Options{Unclustered: true})
	if _, err := sim.CreateBuild(BuildRequest{Pipeline: `[{command: a}]`}); err != nil {
		t.Fatal(err)
	}
	_, body := graphql(t, client, "graphql-token", `{organization(slug: \"example\") {clusters(first: 5) {count} jobs(clustered: false) {count edges {node {... on JobTypeCommand {cluster {id} clusterQueue {id} agentQueryRules}}}}}}`)
	want := `{"data":{"organization":{"clusters":{"count":0},"jobs":{"count":1,"edges":[{"node":{"cluster":null,"clusterQueue":null,"agentQueryRules":["queue=default"]}}]}}}}`
	if diff := cmp.Diff(want, strings.TrimSpace(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	made, err := client.CreateCluster(t.Context(), ClusterRequest{Name: "late", AgentToken: "late-token", DefaultQueue: "main"})
	if err != nil || made.DefaultQueue != "main" {
		t.Errorf("cluster %+v, %v", made, err)
	}
}

package endtoend

import (
	"context"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// A job that the cluster has no room for waits, and its build says so and why, until
// there is room.
func TestWaitingIsVisible(t *testing.T) {
	t.Parallel()
	const name = "waiting"
	d := jobsNamespace(t, name, "", "--annotate-after=3s", "--rest-endpoint="+simulatorURL+"/v2")
	quota := withImages(`
apiVersion: v1
kind: ResourceQuota
metadata: {name: narrow, namespace: ` + name + `}
spec: {hard: {pods: "1"}}
---
apiVersion: v1
kind: Pod
metadata: {name: occupant, namespace: ` + name + `}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: mine, image: "@SHELL@", command: [sleep, infinity]}]}
`)
	if _, err := kube.RunInput(t.Context(), quota, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the quota to be in force", func(ctx context.Context) (bool, error) {
		used, err := kube.Run(ctx, "-n", name, "get", "resourcequota", "narrow", "-o", "jsonpath={.status.used.pods}")
		return used == "1", err
	})
	b := start(t, `
steps:
  - label: patient
    command: echo there was room
    agents: {queue: `+name+`}
`)
	eventually(t, "an annotation that names the quota", func(ctx context.Context) (bool, error) {
		note, err := waitingNote(ctx, b, name)
		if err != nil || note == nil {
			return false, err
		}
		return strings.Contains(note.Body, "waits for room in the namespace's quota") && strings.Contains(note.Body, "exceeded quota"), nil
	})
	note, err := waitingNote(t.Context(), b, name)
	if err != nil || note == nil {
		t.Fatalf("the annotation has gone: %v", err)
	}
	t.Logf("the build says:\n%s", note.Body)
	if state := b.job(t, "patient").state(t); state != "scheduled" {
		t.Errorf("the job is %s while it waits", state)
	}
	kubectlIn(t, name, "delete", "pod", "occupant")
	b.passes(t)
	eventually(t, "the annotation to go", func(ctx context.Context) (bool, error) {
		note, err := waitingNote(ctx, b, name)
		return err == nil && note == nil, err
	})
	d.lacks(t, graphqlToken, agentToken)
}

// waitingNote returns a build's annotation about jobs that wait, or nil.
func waitingNote(ctx context.Context, b *build, controller string) (*simulator.Annotation, error) {
	all, err := client.Annotations(ctx, b.uuid)
	if err != nil {
		return nil, err
	}
	for _, each := range all {
		if each.Context == "agent-stack-k8s-waiting-"+controller {
			return &each, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none, and nothing is wrong
}

// Before there is a job, a dispatcher says what will keep its pods from running, and
// what to do; it works once that is done.
func TestPreflight(t *testing.T) {
	t.Parallel()
	const name = "preflight"
	d := jobsNamespace(t, name, "")
	d.waitOutput(t, patience, `msg="the cluster takes pods"`, "queue="+name)
	if strings.Contains(d.output(), "problem=\"preflight") {
		t.Errorf("a dispatcher whose pods are taken complains:\n%s", d.output())
	}

	kubectl(t, "label", "namespace", name, "buildkite.com/jobs-")
	late := startDispatcher(t, "--namespace="+name, "--queue=preflight-late", "--controller-id=late")
	late.waitOutput(t, patience, "level=ERROR", "no mutator changes pods in namespace "+name, "label the namespace buildkite.com/jobs=enabled")
	kubectl(t, "label", "namespace", name, "buildkite.com/jobs=enabled")
	late.waitOutput(t, patience, `msg="the cluster takes pods"`, "queue=preflight-late")

	kubectl(t, "delete", "namespace", name)
	gone := startDispatcher(t, "--namespace="+name, "--queue=preflight-gone", "--controller-id=gone")
	gone.waitOutput(t, patience, "level=ERROR", name, "not found")
}

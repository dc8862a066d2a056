package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// patience bounds every wait: a slow machine, not a slow product.
const patience = 2 * time.Minute

// start makes a build. @SHELL@ is an image with a shell.
func start(t *testing.T, pipeline string) simulator.Build {
	t.Helper()
	build, err := client.CreateBuild(t.Context(), simulator.BuildRequest{
		Slug: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), Repository: "sample", Message: t.Name(),
		Pipeline: strings.ReplaceAll(pipeline, "@SHELL@", pulled[images.Shell]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return build
}

// ends waits for a build and says how each of its jobs went if it is not as wanted.
func ends(t *testing.T, build simulator.Build, want string) simulator.Build {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended, err := client.WaitForBuild(ctx, build.UUID, nil)
	if err != nil || string(ended.State) != want {
		t.Fatalf("the build %s, want %s (%v)\n%s\n%s", ended.State, want, err, describe(build.UUID), clusterState())
	}
	return ended
}

func passes(t *testing.T, pipeline string) {
	t.Helper()
	ends(t, start(t, pipeline), "passed")
}

func describe(uuid string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	current, err := client.Build(ctx, uuid)
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, each := range current.Commands() {
		log, _ := client.JobLog(ctx, each.UUID)
		fmt.Fprintf(&text, "job %q %s (%s)\n%s\n", each.Label, each.UUID, each.State, log)
	}
	return text.String()
}

// begun waits until each command of the build has printed "begun".
func begun(t *testing.T, build simulator.Build) {
	t.Helper()
	for _, each := range build.Commands() {
		eventually(t, "job "+each.Label+" to begin", func(ctx context.Context) (bool, error) {
			log, err := client.JobLog(ctx, each.UUID)
			return strings.Contains(strings.ReplaceAll(log, "\r\n", "\n"), "\nbegun\n"), err
		})
	}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, ask func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last error
	for {
		done, err := ask(ctx)
		if done && err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s; last error %v\n%s", patience, what, last, clusterState())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// clusterState is what a person would look at.
func clusterState() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var text strings.Builder
	for _, arguments := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"-n", namespace, "logs", "deployment/" + fullname + "-dispatcher", "--all-pods", "--tail=20"},
		{"-n", namespace, "logs", "deployment/" + fullname + "-mutator", "--all-pods", "--tail=5"},
	} {
		output, err := kube.Run(ctx, arguments...)
		text.WriteString("$ kubectl " + strings.Join(arguments, " ") + "\n" + output)
		if err != nil {
			text.WriteString(err.Error() + "\n")
		}
	}
	return text.String()
}

func kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := kube.Run(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func apply(t *testing.T, manifest string) {
	t.Helper()
	if _, err := kube.RunInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

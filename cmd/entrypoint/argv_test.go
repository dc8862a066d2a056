//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator"
)

// witness is a program that says how it was started.
const (
	witness       = "witness"
	witnessReport = "TEST_REPORT" // where it says so
)

// report is what a witness saw.
type report struct {
	Arguments []string `json:"arguments"`
	Directory string   `json:"directory"`
}

func witnessMain() int {
	directory, err := os.Getwd()
	if err != nil {
		fmt.Println(err)

		return 93
	}
	contents, err := json.Marshal(report{Arguments: os.Args, Directory: directory})
	if err != nil {
		fmt.Println(err)

		return 93
	}
	if err := os.WriteFile(os.Getenv(witnessReport), contents, 0o600); err != nil {
		fmt.Println(err)

		return 93
	}

	return 0
}

// pieces are what words and values are made of: all that means something to
// Kubernetes, a shell, the agent's splitter or the entrypoint's options.
var pieces = []string{
	"'", `"`, `\`, "\n", "\t", "\r", " ", "$", "$$", "$(", ")", "$(A)", "$$(A)", "$(B)", "$(UNSET)", "${A}", "`id`", "$(id)",
	";", "&", "|", "#", "~", "*", "?", "!", "=", "-", "--", "--working-directory=x", "a", "B c", "é", "д ж", "\u2028", "\U0001F600", "\ufffd", "\x01", "",
}

// randomText returns a text of some pieces.
func randomText(random *rand.Rand) string {
	var text strings.Builder
	for range random.IntN(6) {
		text.WriteString(pieces[random.IntN(len(pieces))])
	}

	return text.String()
}

// expand is what the kubelet does to each argument of a container: $(NAME) is
// replaced if there is such a variable, and $$ is a dollar sign that begins
// nothing. Source: Kubernetes' documentation of Container.args.
func expand(text string, variables map[string]string) string {
	var result strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		result.WriteString(before)
		if !found {
			return result.String()
		}
		name, rest, closed := strings.Cut(after, ")")
		value, known := variables[strings.TrimPrefix(name, "(")]
		switch {
		case strings.HasPrefix(after, "$"):
			result.WriteString("$")
			text = after[1:]
		case strings.HasPrefix(after, "(") && closed && known:
			result.WriteString(value)
			text = rest
		case strings.HasPrefix(after, "(") && closed:
			result.WriteString("$" + name + ")")
			text = rest
		default:
			result.WriteString("$")
			text = after
		}
	}
}

// TestExactArguments: whatever a container's words and the values in them, what
// is executed in the end is what Kubernetes would have executed. The mutator
// writes the args of 32 containers of one pod, the kubelet's rule is applied to
// them, and the containers run with the agent's real protocol and splitter.
func TestExactArguments(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := newPod(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := p.path(witness)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	// No quote is like the one that ends what the agent is given.
	variables := map[string]string{"A": `'; touch injected; '"\` + "\n$(B)$$" + randomText(random), "B": randomText(random)}

	const count = 32
	var pod corev1.Pod
	want := make([]report, count)
	for i := range count {
		container := corev1.Container{Name: "c" + strconv.Itoa(i), Image: "image", Command: []string{program}}
		for range random.IntN(6) {
			container.Args = append(container.Args, randomText(random))
		}
		want[i].Directory = p.directory
		if random.IntN(2) == 0 {
			container.WorkingDir = p.path("work/x" + randomText(random))
			want[i].Directory = filepath.Clean(container.WorkingDir)
			if err := os.MkdirAll(container.WorkingDir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for _, word := range slices.Concat(container.Command, container.Args) {
			want[i].Arguments = append(want[i].Arguments, expand(word, variables))
		}
		pod.Spec.Containers = append(pod.Spec.Containers, container)
	}
	// Both kinds of quoting: with a shell and without.
	for _, interposer := range []string{"vector", "buildkite"} {
		t.Run(interposer, func(t *testing.T) { runExactly(t, p, interposer, pod.DeepCopy(), variables, want) })
	}
}

// runExactly runs a pod's containers and compares what they saw.
func runExactly(t *testing.T, volumes *pod, interposer string, pod *corev1.Pod, variables map[string]string, want []report) {
	t.Helper()
	config, errs := mutator.ParseConfig([]byte("{apiVersion: buildkite.com/v1alpha1, kind: MutatorConfiguration, agentImage: a, entrypointImage: e, interposer: {handMade: " + interposer + "}}"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if _, errs := config.Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	p := newPod(t)
	p.startCheckout("true")
	for i := range want {
		arguments := pod.Spec.Containers[i].Args
		for j := range arguments {
			arguments[j] = expand(arguments[j], variables)
		}
		environment := []string{witnessReport + "=" + p.path(strconv.Itoa(i))}
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			environment = append(environment, name+"="+variables[name])
		}
		p.startCommand(arguments, environment...)
	}
	p.startAgent("--containers="+strconv.Itoa(len(want)+1), uuid).wantStatus(0)
	for i, want := range want {
		if want.Directory == volumes.directory {
			want.Directory = p.directory
		}
		contents, err := os.ReadFile(p.path(strconv.Itoa(i)))
		if err != nil {
			t.Fatalf("container %d has not run: %v", i, err)
		}
		var got report
		if err := json.Unmarshal(contents, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("container %d (-want +got):\n%s", i, diff)
		}
	}
	if p.there("injected") {
		t.Error("a value was run as a command")
	}
}

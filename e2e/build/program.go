package build

import (
	"fmt"
	"slices"
	"strings"
)

// Group names programs that are wanted together.
type Group string

// The groups, cheapest last.
const (
	Cluster     Group = "cluster"      // Kubernetes, containerd and its shim, pause, and cluster, which starts them
	Agent       Group = "agent"        // buildkite-agent
	CertManager Group = "cert-manager" // its controllers in one program
	Tools       Group = "tools"        // helm, ko, and kwok, which simulates nodes
	Product     Group = "product"      // dispatcher, mutator, entrypoint, agent-stack-k8s
	Harness     Group = "harness"      // demo, simulator, hello, and the benchmarks and tests of load
)

// Groups is all of them.
func Groups() []Group { return []Group{Cluster, Agent, CertManager, Tools, Product, Harness} }

const productModule = "github.com/buildkite/agent-stack-k8s"

// program is one executable.
type program struct {
	name  string // of the file
	pack  string // import path, or path below the e2e module beginning with ./
	group Group
	// sources are the directories below the e2e module that it is compiled from,
	// when everything else comes from released modules. They save asking the Go
	// command on each start; a test holds them against its answer. Nil: ask.
	sources []string
	// stamped programs carry this repository's version, and ship.
	stamped bool
	// links are further names for the same file.
	links []string
}

var programs = []program{
	{name: "kubernetes", pack: "./cmd/kubernetes", group: Cluster, sources: []string{"cmd/kubernetes"}, links: []string{"kubectl"}},
	{name: "containerd", pack: "github.com/containerd/containerd/v2/cmd/containerd", group: Cluster, sources: []string{}},
	{name: "containerd-shim-runc-v2", pack: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", group: Cluster, sources: []string{}},
	{name: "pause", pack: "./cmd/pause", group: Cluster},
	{name: "cluster", pack: "./cmd/cluster", group: Cluster},
	{name: "buildkite-agent", pack: "github.com/buildkite/agent/v3", group: Agent, sources: []string{"zzglob"}},
	{name: "cert-manager", pack: "./cmd/cert-manager", group: CertManager, sources: []string{"cmd/cert-manager"}},
	{name: "helm", pack: "helm.sh/helm/v3/cmd/helm", group: Tools, sources: []string{}},
	{name: "ko", pack: "github.com/google/ko", group: Tools, sources: []string{}},
	{name: "kwok", pack: "sigs.k8s.io/kwok/cmd/kwok", group: Tools, sources: []string{}},
	{name: "dispatcher", pack: productModule + "/cmd/dispatcher", group: Product, stamped: true},
	{name: "mutator", pack: productModule + "/cmd/mutator", group: Product, stamped: true},
	{name: "entrypoint", pack: productModule + "/cmd/entrypoint", group: Product, stamped: true},
	{name: "agent-stack-k8s", pack: productModule + "/cmd/agent-stack-k8s", group: Product, stamped: true},
	{name: "demo", pack: "./cmd/demo", group: Harness},
	{name: "simulator", pack: "./cmd/simulator", group: Harness},
	{name: "bench-start", pack: "./cmd/bench-start", group: Harness},
	{name: "bench-dispatch", pack: "./cmd/bench-dispatch", group: Harness},
	{name: "crash", pack: "./cmd/crash", group: Harness},
	{name: "soak", pack: "./cmd/soak", group: Harness},
	{name: "hello", pack: "./cmd/hello", group: Harness},
}

// Names returns the names of a group's programs.
func Names(group Group) []string {
	var names []string
	for _, p := range programs {
		if p.group == group {
			names = append(names, p.name)
		}
	}
	return names
}

// choose returns the programs that targets name: groups or programs. A name that
// both have is the group's.
func choose(targets []Group) ([]program, error) {
	var chosen []program
	for _, target := range targets {
		before, isGroup := len(chosen), slices.Contains(Groups(), target)
		for _, p := range programs {
			if isGroup && p.group == target || !isGroup && p.name == string(target) {
				chosen = append(chosen, p)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("build %q: no such program or group; have %s", target, strings.Join(targetNames(), ", "))
		}
	}
	slices.SortFunc(chosen, func(a, b program) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(chosen, func(a, b program) bool { return a.name == b.name }), nil
}

func targetNames() []string {
	var names []string
	for _, group := range Groups() {
		names = append(names, string(group))
	}
	for _, p := range programs {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// output is what the Go command calls the program.
func (p program) output() string {
	elements := strings.Split(p.pack, "/")
	last := elements[len(elements)-1]
	// A module's major version does not name its program.
	if len(elements) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = elements[len(elements)-2]
	}
	return last
}

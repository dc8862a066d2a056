package build

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	cases := map[string]struct {
		targets []Group
		want    []string
		err     string
	}{
		"a group":              {targets: []Group{Agent}, want: []string{"buildkite-agent"}},
		"a program":            {targets: []Group{"kubernetes"}, want: []string{"kubernetes"}},
		"each once, by name":   {targets: []Group{"pause", Cluster, "pause"}, want: []string{"cluster", "containerd", "containerd-shim-runc-v2", "kubernetes", "pause"}},
		"a group of that name": {targets: []Group{CertManager}, want: []string{"cert-manager"}},
		"unknown":              {targets: []Group{"kind"}, err: `build "kind": no such program or group; have cluster, agent, cert-manager, tools, product, harness, `},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			chosen, err := choose(tc.targets)
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Errorf("got error %v, want %s...", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, namesOf(chosen)); diff != "" {
				t.Errorf("chosen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesAreUnique(t *testing.T) {
	names := namesOf(programs)
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("a program is there twice: %q", names)
	}
}

func TestOutputIsWhatTheGoCommandWrites(t *testing.T) {
	for pack, want := range map[string]string{
		"./cmd/kubernetes":                  "kubernetes",
		"github.com/buildkite/agent/v3":     "agent",
		"example.com/containerd/v2/cmd/ctr": "ctr",
		"example.com/cmd/vet":               "vet",
	} {
		if got := (program{pack: pack}).output(); got != want {
			t.Errorf("%s: got %s, want %s", pack, got, want)
		}
	}
}

// A program that declares its sources is rebuilt only when these change, so a
// package of this repository must not slip in unnoticed.
func TestDeclaredSourcesAreComplete(t *testing.T) {
	module, err := findModule(".")
	if err != nil {
		t.Fatal(err)
	}
	tool, err := findTool(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	declaring := slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return p.sources == nil })
	asked, err := list(t.Context(), tool, declaring)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range declaring {
		declared, err := p.declared(module)
		if err != nil {
			t.Error(err)
		}
		for _, file := range asked[p.name] {
			if !slices.ContainsFunc(declared, func(d source) bool { return d.path == file.path }) {
				t.Errorf("%s is compiled from %s, which its sources %q do not hold", p.name, file.path, p.sources)
			}
		}
	}
	if len(asked["kubernetes"]) == 0 {
		t.Error("the go command lists no source of kubernetes")
	}
}

package build

import (
	"context"
	"errors"
	"math"
	"os/exec"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := map[string]struct {
		ctx    context.Context
		err    error
		stderr string
		want   string
	}{
		"disk":        {stderr: "# k8s.io/api\nopen /tmp/x: no space left on device\n", want: "the disk is full: open /tmp/x"},
		"old go":      {stderr: "go: go.mod requires go >= 1.26.6 (running go 1.24.1; GOTOOLCHAIN=local)\n", want: "the go command is too old: go: go.mod requires go >= 1.26.6"},
		"no network":  {stderr: "go: k8s.io/api@v0.37.2: Get \"https://p/\": dial tcp: lookup p: no such host\n", want: "the Go module proxy does not answer (GOPROXY=https://p): go: k8s.io/api"},
		"no go":       {err: &exec.Error{Name: "go", Err: exec.ErrNotFound}, want: "no go command in PATH"},
		"interrupted": {ctx: canceled, stderr: "dial tcp", want: "build interrupted: context canceled"},
		"compiler":    {stderr: "# example.com/x\nx.go:3:2: undefined: y\n", want: "go command: exit status 1:\n# example.com/x\nx.go:3:2: undefined: y"},
		"silent":      {want: "go command: exit status 1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.ctx == nil {
				tc.ctx = t.Context()
			}
			if tc.err == nil {
				tc.err = errors.New("exit status 1")
			}
			got := tool{settings: settings{Proxy: "https://p"}}.explain(tc.ctx, tc.err, tc.stderr).Error()
			if !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %q, want %q...", got, tc.want)
			}
		})
	}
}

func TestCheckSpace(t *testing.T) {
	directory := t.TempDir()
	if err := CheckSpace(1, directory+"/not/there/yet"); err != nil {
		t.Error(err)
	}
	err := CheckSpace(math.MaxInt64, directory)
	if err == nil || !strings.Contains(err.Error(), "too little disk space for the build: "+directory+" has ") {
		t.Errorf("got error %v", err)
	}
}

func TestReleaseFlags(t *testing.T) {
	const text = "module m\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n\tgithub.com/containerd/containerd/v2 v2.4.2\n)\n"
	flags, err := releaseFlags([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-X k8s.io/component-base/version.gitVersion=v1.37.2 ", "-X k8s.io/client-go/pkg/version.gitMinor=37 ", "-X github.com/containerd/containerd/v2/version.Version=2.4.2 "} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q is not in %q", want, flags)
		}
	}
	if _, err := releaseFlags([]byte("module m\n")); err == nil {
		t.Error("no error without Kubernetes")
	}
}

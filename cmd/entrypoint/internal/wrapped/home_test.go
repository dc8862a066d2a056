//go:build linux

package wrapped

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
)

// containerInRun is the container 1 of a pod, with the directory that its containers
// share.
func containerInRun(t *testing.T) (c *container, run string) {
	t.Helper()
	run = t.TempDir()
	t.Setenv("BUILDKITE_JOB_CONTEXT_DIR", run)
	directory, err := rundir.Open()
	if err != nil {
		t.Fatal(err)
	}
	return &container{directory: directory, options: Options{ID: 1}, stderr: io.Discard}, run
}

// closedPath is a file, in which root cannot put anything either.
func closedPath(t *testing.T) string {
	t.Helper()
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.WriteFile(closed, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return closed
}

func TestTemporaryDirectory(t *testing.T) {
	writable := t.TempDir()
	closed := closedPath(t)
	cases := map[string]struct {
		temporary string // where /tmp is
		given     string // TMPDIR; "" is none
		want      string // TMPDIR; RUN stands for the shared directory
	}{
		"writable":              {writable, "", ""},
		"not there":             {filepath.Join(writable, "none"), "", "RUN/tmp/1"},
		"cannot be written to":  {closed, "", "RUN/tmp/1"},
		"given":                 {closed, writable, writable},
		"given and not there":   {closed, filepath.Join(writable, "new"), filepath.Join(writable, "new")},
		"given, and impossible": {writable, "/proc/new", "/proc/new"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, run := containerInRun(t)
			var own []string
			if tc.given != "" {
				own = append(own, "TMPDIR="+tc.given)
			}
			got, _ := lookup(c.makeHome(own, t.TempDir(), tc.temporary), "TMPDIR")
			want := tc.want
			if want == "RUN/tmp/1" {
				want = filepath.Join(run, "tmp/1")
			}
			if got != want {
				t.Errorf("TMPDIR is %q, want %q", got, want)
			}
			if info, err := os.Stat(want); want != "" && want != "/proc/new" && (err != nil || info.Mode().Perm()&0o700 != 0o700) {
				t.Errorf("%v, %v: want a directory", info, err)
			}
		})
	}
}

func TestHomeOfAnUnknownUser(t *testing.T) {
	writable, given := t.TempDir(), filepath.Join(t.TempDir(), "given")
	closed := closedPath(t)
	cases := map[string]struct {
		root string // where / is
		own  []string
		want string // RUN stands for the shared directory
	}{
		"root's directory, writable":       {writable, []string{"HOME=/"}, "/"},
		"root's directory":                 {closed, []string{"HOME=/"}, "RUN"},
		"none":                             {closed, nil, "RUN"},
		"one of the image's, not there":    {closed, []string{"HOME=" + given}, given},
		"one of the image's, with files":   {closed, []string{"HOME=" + writable}, writable},
		"one of the image's, which is not": {closed, []string{"HOME=" + closed}, closed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, run := containerInRun(t)
			got, _ := lookup(c.makeHome(tc.own, tc.root, writable), "HOME")
			want := tc.want
			if want == "RUN" {
				want = filepath.Join(run, "home/1")
			}
			if got != want {
				t.Errorf("HOME is %q, want %q", got, want)
			}
			if info, err := os.Stat(want); want != closed && (err != nil || !info.IsDir()) {
				t.Errorf("%v, %v: want a directory", info, err)
			}
		})
	}
}

//go:build linux

package wrapped

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/interpose"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
)

// TestEnvironment: which command and shell the agent's client gets.
func TestEnvironment(t *testing.T) {
	vector := interpose.Command{Interposer: interpose.Vector, Words: []string{"make", "it's"}}
	script := interpose.Command{Interposer: interpose.Buildkite, Words: []string{"make"}, Lines: 1}
	cases := map[string]struct {
		command   interpose.Command
		directory string
		own       []string
		published string
		want      []string
	}{
		"own command, not the job's": {vector, "", nil, "job", []string{`BUILDKITE_COMMAND='make' 'it'\''s'`, "BUILDKITE_SHELL='/bin/entrypoint' exec"}},
		"own command, not the image's": {vector, "", []string{"BUILDKITE_COMMAND=image", "BUILDKITE_SHELL=image", "BUILDKITE_COMMAND=again"}, "job",
			[]string{`BUILDKITE_COMMAND='make' 'it'\''s'`, "BUILDKITE_SHELL='/bin/entrypoint' exec"}},
		"script":                     {script, "", nil, "job", []string{"BUILDKITE_COMMAND=make"}},
		"script with a shell":        {script, "", []string{"BUILDKITE_SHELL=bash -c"}, "", []string{"BUILDKITE_COMMAND=make", "BUILDKITE_SHELL=bash -c"}},
		"directory with a shell":     {script, "/srv", []string{"BUILDKITE_SHELL=bash -c"}, "", []string{"BUILDKITE_COMMAND=make", "BUILDKITE_SHELL='/bin/entrypoint' exec '--working-directory=/srv' -- bash -c"}},
		"the job's":                  {interpose.Command{}, "", nil, "job\nline", []string{"BUILDKITE_COMMAND=job\nline"}},
		"the job's, a directory":     {interpose.Command{}, "/srv", nil, "job", []string{"BUILDKITE_COMMAND=job", "BUILDKITE_SHELL='/bin/entrypoint' exec '--working-directory=/srv' -- /bin/sh -ec"}},
		"the image's, not the job's": {interpose.Command{}, "", []string{"BUILDKITE_COMMAND=image"}, "job", []string{"BUILDKITE_COMMAND=image"}},
		"none at all":                {interpose.Command{}, "", nil, "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("BUILDKITE_JOB_CONTEXT_DIR", t.TempDir())
			directory, err := rundir.Open()
			if err != nil {
				t.Fatal(err)
			}
			if tc.published != "" {
				if err := os.WriteFile(directory.Path(rundir.Command), []byte(tc.published), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c := &container{directory: directory, options: Options{ID: 1, Command: tc.command, WorkingDirectory: tc.directory}}
			own := slices.Concat([]string{"BUILDKITE_CONTAINER_ID=1", "PATH=/bin"}, tc.own)
			before := slices.Clone(own)
			environment, err := c.environment(own, "/bin/entrypoint")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range []string{commandVariable, shellVariable} {
				for _, variable := range environment {
					if len(variable) > len(name) && variable[:len(name)+1] == name+"=" {
						got = append(got, variable)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, own); diff != "" {
				t.Errorf("the caller's environment was changed (-before +after):\n%s", diff)
			}
		})
	}
}

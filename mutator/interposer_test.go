package mutator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestArgs: what the entrypoint is started with. How it runs the words is in the
// entrypoint's own tests.
func TestArgs(t *testing.T) {
	cases := map[string]struct {
		interposer    Interposer
		command, args []string
		directory     string
		want          []string
	}{
		"vector":                 {InterposerVector, []string{"go", "test"}, []string{"./...", "it's"}, "", []string{"--interposer=vector", "--", "go", "test", "./...", "it's"}},
		"buildkite":              {InterposerBuildkite, []string{"gradle"}, []string{"jib", "--"}, "", []string{"--interposer=buildkite", "--commands=1", "--", "gradle", "jib", "--"}},
		"buildkite, lines":       {InterposerBuildkite, []string{"make a", "make b"}, nil, "", []string{"--interposer=buildkite", "--commands=2", "--", "make a", "make b"}},
		"buildkite, only args":   {InterposerBuildkite, nil, []string{"make"}, "", []string{"--interposer=buildkite", "--commands=0", "--", "make"}},
		"buildkite, sh -c":       {InterposerBuildkite, []string{"/bin/sh", "-c", "echo 1; echo 2"}, nil, "", []string{"--interposer=vector", "--", "/bin/sh", "-c", "echo 1; echo 2"}},
		"buildkite, sh -e -c":    {InterposerBuildkite, []string{"/bin/sh", "-e", "-c"}, []string{"echo 1"}, "", []string{"--interposer=vector", "--", "/bin/sh", "-e", "-c", "echo 1"}},
		"buildkite, bash -ec":    {InterposerBuildkite, []string{"bash", "-ec"}, []string{"echo 1"}, "", []string{"--interposer=vector", "--", "bash", "-ec", "echo 1"}},
		"buildkite, env bash":    {InterposerBuildkite, []string{"/usr/bin/env", "bash", "-lc", "echo 1"}, nil, "", []string{"--interposer=vector", "--", "/usr/bin/env", "bash", "-lc", "echo 1"}},
		"buildkite, a script":    {InterposerBuildkite, []string{"bash", "ci/run"}, nil, "", []string{"--interposer=vector", "--", "bash", "ci/run"}},
		"buildkite, bare shell":  {InterposerBuildkite, []string{"bash"}, nil, "", []string{"--interposer=buildkite", "--commands=1", "--", "bash"}},
		"legacy":                 {InterposerLegacy, []string{"sh", "-c"}, []string{"ls"}, "", []string{"--interposer=legacy", "--", "sh", "-c", "ls"}},
		"variables":              {InterposerVector, []string{"echo"}, []string{"$(A) $$(A) $A $"}, "/$(A)/$$", []string{"--interposer=vector", "--working-directory=/$$(A)/$$$$", "--", "echo", "$(A) $$(A) $A $"}},
		"the job's, a directory": {InterposerVector, nil, nil, "/srv", []string{"--working-directory=/srv"}},
		"the job's":              {InterposerVector, nil, nil, "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := goldenConfig(t, "")
			config.Interposer.HandMade = tc.interposer
			pod := jobPod(func(_ *corev1.Pod, c *corev1.Container) {
				c.Command, c.Args, c.WorkingDir = tc.command, tc.args, tc.directory
			})
			if _, errs := config.Mutate(pod); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			want := append([]string{contract.EntrypointRun, "--id=1"}, tc.want...)
			if diff := cmp.Diff(want, pod.Spec.Containers[0].Args); diff != "" {
				t.Errorf("args (-want +got):\n%s", diff)
			}
			checkFixpoint(t, config, pod)
		})
	}
}

// TestShellVariable: a shell of the user's is for scripts, in any directory.
func TestShellVariable(t *testing.T) {
	cases := map[string]struct {
		interposer Interposer
		command    []string
		want       string
	}{
		"script":        {InterposerBuildkite, []string{"make"}, ""},
		"the job's":     {InterposerVector, nil, ""},
		"vector":        {InterposerVector, []string{"make"}, shellRefused},
		"shell by name": {InterposerBuildkite, []string{"sh", "-c", "make"}, shellRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := goldenConfig(t, "")
			config.Interposer.HandMade = tc.interposer
			_, errs := config.Mutate(jobPod(func(_ *corev1.Pod, c *corev1.Container) {
				c.Command, c.WorkingDir, c.Env = tc.command, "/srv", []corev1.EnvVar{env(shellVariable, "/bin/bash -e -c")}
			}))
			if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

const shellRefused = `spec.containers[0].env[0].name: Invalid value: "BUILDKITE_SHELL": this container's command runs as it is, without the agent's shell; remove the variable` + "\n"

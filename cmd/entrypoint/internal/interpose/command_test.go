package interpose

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/buildkite/shellwords"
	"github.com/google/go-cmp/cmp"
)

func TestScript(t *testing.T) {
	cases := map[string]struct {
		command Command
		want    string
	}{
		"vector":                 {Command{Vector, []string{"go", "test", "./...", "it's"}, -1}, `'go' 'test' './...' 'it'\''s'`},
		"vector, empty word":     {Command{Vector, []string{"printf", ""}, -1}, `'printf' ''`},
		"buildkite":              {Command{Buildkite, []string{"gradle", "jib", "--image=x"}, 1}, `gradle 'jib' '--image=x'`},
		"buildkite, lines":       {Command{Buildkite, []string{"make a", "make b"}, 2}, "make a\nmake b"},
		"buildkite, args to end": {Command{Buildkite, []string{"make a", "echo", "it's"}, 2}, "make a\necho 'it'\\''s'"},
		"buildkite, only args":   {Command{Buildkite, []string{"make", "all"}, 0}, `'make' 'all'`},
		"legacy":                 {Command{Legacy, []string{"echo a", "&&", "echo", "b c"}, -1}, `echo a && echo b c`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := tc.command.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := tc.command.Script(); got != tc.want {
				t.Errorf("script = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestShell(t *testing.T) {
	const program = "/buildkite/bin/entrypoint"
	cases := map[string]struct {
		interposer, directory, own string
		want                       []string
	}{
		"vector":                       {Vector, "", "/bin/bash -c", []string{program, "exec"}},
		"vector with a directory":      {Vector, `/it's a \`, "", []string{program, "exec", `--working-directory=/it's a \`}},
		"script":                       {Buildkite, "", "/bin/bash -c", nil},
		"script with a directory":      {Legacy, "/srv", "", []string{program, "exec", "--working-directory=/srv", "--", "/bin/sh", "-ec"}},
		"the job's":                    {"", "", "", nil},
		"the job's, a directory":       {"", "/srv", " ", []string{program, "exec", "--working-directory=/srv", "--", "/bin/sh", "-ec"}},
		"directory and a shell":        {Buildkite, "/srv", "/bin/bash -e -c", []string{program, "exec", "--working-directory=/srv", "--", "/bin/bash", "-e", "-c"}},
		"a shell with an option of --": {Buildkite, "/srv", "env -- 'my shell'", []string{program, "exec", "--working-directory=/srv", "--", "env", "--", "my shell"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := Command{Interposer: tc.interposer}.Shell(program, tc.directory, tc.own)
			got, err := shellwords.Split(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if !slices.Equal(tc.want, got) {
				t.Errorf("the agent starts %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzShell: the agent finds the words that were written for it.
func FuzzShell(f *testing.F) {
	for _, seed := range []string{"/srv", "/it's", `\`, `\'`, `'\''`, "a\nb", "\ufffd", `"$(A)" `, "ü"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, program, directory string) {
		// The API server takes UTF-8 alone, and so does the agent.
		program, directory = strings.ToValidUTF8(program, ""), strings.ToValidUTF8(directory, "")
		if directory == "" {
			return
		}
		text := Command{Interposer: Vector}.Shell(program, directory, "")
		want := []string{program, "exec", "--working-directory=" + directory}
		got, err := shellwords.Split(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("the agent's words of %q: %v (-want +got):\n%s", text, err, diff)
		}
		// A plugin or a person may give the same text to a shell.
		posix, err := split(text)
		if diff := cmp.Diff(want, posix); err != nil || diff != "" {
			t.Errorf("a shell's words of %q: %v (-want +got):\n%s", text, err, diff)
		}
	})
}

// FuzzScript: whatever the words, exec has exactly them, and so has a shell.
func FuzzScript(f *testing.F) {
	for _, seed := range []string{"", "a b", "it's", `"`, `\`, "$HOME `ls` $(ls)", "a\nb\n", "--", "'", "\\'", "*", "ü", "\xff"} {
		f.Add("echo", seed, "second")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal("the test needs a POSIX shell:", err)
	}
	f.Fuzz(func(t *testing.T, first, second, third string) {
		words := []string{first, second, third}
		got, err := split(Command{Interposer: Vector, Words: words}.Script())
		if diff := cmp.Diff(words, got); err != nil || diff != "" {
			t.Errorf("words of exec: %v (-want +got):\n%s", err, diff)
		}
		if strings.ContainsRune(strings.Join(words, ""), 0) {
			// No program has such an argument.
			return
		}
		script := Command{Interposer: Buildkite, Words: append([]string{`printf '%s\0'`}, words...), Lines: 1}.Script()
		output, err := exec.CommandContext(t.Context(), shell, "-c", script).Output()
		if err != nil {
			t.Fatalf("sh -c %q: %v", script, err)
		}
		got = strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")
		if diff := cmp.Diff(words, got); diff != "" {
			t.Errorf("words of a shell (-want +got):\n%s", diff)
		}
	})
}

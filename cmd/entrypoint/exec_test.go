//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestExec(t *testing.T) {
	directory := t.TempDir()
	write := func(name, contents string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(directory, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, name), []byte(contents), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("app/data", "text", 0o644)
	write("app/script", "#!/bin/sh\necho \"in $(pwd): $*\"\n", 0o755)
	write("headless", "echo hello\n", 0o755)
	write("foreign", "\x7fELF\x02\x01\x01\x00garbage", 0o755)
	write("loaderless", "#!/no/such/interpreter\n", 0o755)

	cases := map[string]struct {
		arguments []string
		status    int
		want      string
	}{
		"words":                 {[]string{`printf '<%s>' 'a b' "c'd" e\ f '' g`}, 0, `<a b><c'd><e f><><g>`},
		"nothing is expanded":   {[]string{`printf %s "$HOME" * ~`}, 0, "$HOME*~"},
		"interpreter":           {[]string{"--", "/bin/sh", "-ec", "echo $((1+1)); pwd"}, 0, "2\n" + directory + "\n"},
		"interpreter in path":   {[]string{"--", "sh", "-c", "echo $0"}, 0, "sh\n"},
		"status":                {[]string{"--", "/bin/sh", "-c", "exit 42"}, 42, ""},
		"working directory":     {[]string{"--working-directory=" + directory + "/app", `./script x`}, 0, "in " + directory + "/app: x\n"},
		"relative directory":    {[]string{"--working-directory=app", "--", "/bin/sh", "-ec", "echo $PWD; cat data"}, 0, directory + "/app\ntext"},
		"looks like an option":  {[]string{"--", "/bin/echo", "--working-directory=/x"}, 0, "--working-directory=/x\n"},
		"no working directory":  {[]string{"--working-directory=/no/such", "true"}, 1, "/no/such: no such file or directory; it must be in the image"},
		"not found":             {[]string{"no-such-command"}, 127, "no-such-command: command not found in PATH"},
		"no such path":          {[]string{"/no/such/command"}, 127, "/no/such/command: no such file"},
		"not executable":        {[]string{"./app/data"}, 126, "./app/data: not executable (its mode is -rw-r--r--)"},
		"a directory":           {[]string{"./app"}, 126, "is a directory"},
		"another architecture":  {[]string{"./foreign"}, 126, "./foreign: exec format error; it is a program for another architecture"},
		"no interpreter line":   {[]string{"./headless"}, 126, "script without a #! line"},
		"interpreter not there": {[]string{"./loaderless"}, 127, "interpreter or loader that it names does not exist"},
		"open quote":            {[]string{`echo 'a`}, 1, "a single quote is not closed: 'a"},
		"open double quote":     {[]string{`echo "a\"`}, 1, `a double quote is not closed: "a\"`},
		"backslash at the end":  {[]string{`echo \`}, 1, "backslash that quotes nothing"},
		"empty":                 {[]string{" "}, 127, "the command is empty"},
		"empty word":            {[]string{"''"}, 127, "first word is empty"},
		"nothing":               {nil, 1, "there is no command to run"},
		"dashes only":           {[]string{"--", "x"}, 1, "no interpreter follows"},
		"unknown option":        {[]string{"--workdir=/x", "true"}, 1, `unknown option "--workdir=/x"`},
		"too long":              {[]string{"echo " + strings.Repeat("x", 1<<17-16)}, 0, "xxx"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(entrypointBinary, append([]string{"exec"}, tc.arguments...)...)
			command.Dir = directory
			output, _ := command.CombinedOutput()
			if got := command.ProcessState.ExitCode(); got != tc.status {
				t.Errorf("status %d, want %d:\n%s", got, tc.status, output)
			}
			if !strings.Contains(string(output), tc.want) {
				t.Errorf("want %q in:\n%s", tc.want, output)
			}
		})
	}
}

// A signal reaches the command, because it has taken the entrypoint's place.
func TestExecReplacesItself(t *testing.T) {
	output, err := exec.Command("/bin/sh", "-c", `echo $$; exec "$0" exec "sh -c 'echo \$\$'"`, entrypointBinary).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if ids := strings.Fields(string(output)); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("want one process id twice, got %q", output)
	}
}

func TestExecWithoutPath(t *testing.T) {
	command := exec.Command(entrypointBinary, "exec", "echo found")
	command.Env = []string{"HOME=/"}
	output, err := command.CombinedOutput()
	if err != nil || string(output) != "found\n" {
		t.Errorf("%v: %s", err, output)
	}
}

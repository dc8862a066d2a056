package repository

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClone commits twice and clones with git itself, also by commit.
func TestClone(t *testing.T) {
	server, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	defer listener.Close()
	first, err := server.Commit(t.Context(), "sample", "", map[string]File{"old.txt": {Content: "old"}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.Commit(t.Context(), "sample", "", map[string]File{
		"README.md": {Content: "hello\n"}, "hooks/command": {Content: "#!/bin/sh\necho hi\n"},
		"a path/ü.txt": {Content: "spaces"}, "run": {Content: "x", Mode: "100755"}, "empty": {},
	})
	if err != nil {
		t.Fatal(err)
	}

	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "--quiet", listener.URL+"/git/sample.git", clone)
	files, err := ReadDirectory(clone)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]File{
		"README.md": {Content: "hello\n", Mode: "100644"}, "hooks/command": {Content: "#!/bin/sh\necho hi\n", Mode: "100755"},
		"a path/ü.txt": {Content: "spaces", Mode: "100644"}, "run": {Content: "x", Mode: "100755"}, "empty": {Mode: "100644"},
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{second, first}, strings.Fields(git(t, clone, "log", "--format=%H"))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}

	shallow := t.TempDir()
	git(t, shallow, "init", "--quiet")
	git(t, shallow, "fetch", "--quiet", "--depth", "1", listener.URL+"/git/sample.git", first)
	if diff := cmp.Diff("old", git(t, shallow, "show", "FETCH_HEAD:old.txt")); diff != "" {
		t.Errorf("fetched by commit (-want +got):\n%s", diff)
	}
}

func TestPushIsRefused(t *testing.T) {
	server, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	defer listener.Close()
	if _, err := server.Commit(t.Context(), "sample", "", map[string]File{"a": {Content: "a"}}); err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "--quiet", listener.URL+"/git/sample.git", clone)
	if err := os.WriteFile(filepath.Join(clone, "b"), []byte("b"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, clone, "add", "b")
	git(t, clone, "-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "--quiet", "-m", "b")
	if output, err := exec.CommandContext(t.Context(), "git", "-C", clone, "push").CombinedOutput(); err == nil {
		t.Errorf("a push was accepted: %s", output)
	}
}

func TestCommitRefuses(t *testing.T) {
	good := map[string]File{"a": {Content: "a"}}
	cases := map[string]struct {
		name, branch string
		files        map[string]File
		want         string
	}{
		"no files":          {name: "x", want: "no files"},
		"climbing name":     {name: "../x", files: good, want: "the name may hold"},
		"hidden name":       {name: ".git", files: good, want: "the name may hold"},
		"branch with break": {name: "x", branch: "a\nfrom b", files: good, want: "branch"},
		"climbing branch":   {name: "x", branch: "a/../b", files: good, want: "branch"},
		"climbing file":     {name: "x", files: map[string]File{"../a": {}}, want: "want a plain path"},
		"absolute file":     {name: "x", files: map[string]File{"/etc/passwd": {}}, want: "want a plain path"},
		"line break":        {name: "x", files: map[string]File{"data 3\nabc": {}}, want: "want a plain path"},
		"git's own file":    {name: "x", files: map[string]File{"a/.GIT/config": {}}, want: "want a plain path"},
		"device mode":       {name: "x", files: map[string]File{"a": {Mode: "120000"}}, want: "want 100644 or 100755"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server, err := New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			_, err = server.Commit(t.Context(), tc.name, tc.branch, tc.files)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
		})
	}
}

func git(t *testing.T, directory string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = directory
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

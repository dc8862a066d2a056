package repository

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestProtect clones with git itself.
func TestProtect(t *testing.T) {
	server, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Commit(t.Context(), "private", "", map[string]File{"a": {Content: "a"}}); err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(Protect(server, "robot", "right"))
	defer listener.Close()
	for name, tc := range map[string]struct {
		credentials string
		want        string // of git's complaint; empty: it clones
	}{
		"right":          {credentials: "robot:right@"},
		"wrong password": {credentials: "robot:wrong@", want: "Authentication failed"},
		"wrong user":     {credentials: "nobody:right@", want: "Authentication failed"},
		"none":           {want: "could not read Username"},
	} {
		t.Run(name, func(t *testing.T) {
			url := strings.Replace(listener.URL, "http://", "http://"+tc.credentials, 1) + "/git/private.git"
			command := exec.CommandContext(t.Context(), "git", "clone", "--quiet", url, filepath.Join(t.TempDir(), "clone"))
			command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=")
			output, err := command.CombinedOutput()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(string(output), tc.want)) {
				t.Errorf("want %q, have %v: %s", tc.want, err, output)
			}
		})
	}
}

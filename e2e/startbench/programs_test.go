package startbench

import (
	"strings"
	"testing"
)

func TestLineOf(t *testing.T) {
	for words, want := range map[string]string{
		"/buildkite/bin/entrypoint run --id=1 --interposer=vector -- make all": "entrypoint run --id=1",
		"/usr/local/bin/buildkite-agent meta-data exists buildkite:git:commit": "buildkite-agent meta-data exists",
		"git --no-pager log -1 HEAD":                   "git log",
		"git clone -v -- http://10.0.0.1/sample.git .": "git clone",
		"/usr/lib/git-core/git-remote-http origin":     "",
		"/pause": "",
		"":       "",
	} {
		if got := lineOf([]byte(strings.ReplaceAll(words, " ", "\x00") + "\x00")); got != want {
			t.Errorf("%s: got %q, want %q", words, got, want)
		}
	}
}

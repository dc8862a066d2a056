package main

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts and pages")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"agent-stack-k8s": func() {
			// Ages are counted from when the scripts' objects were recorded.
			if now, err := time.Parse(time.RFC3339, os.Getenv("RECORDED_AT")); err == nil {
				terminal.Now = func() time.Time { return now }
			}
			os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs testdata/script/*.txtar, in which people's use of the commands
// is written down.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"apiserver": apiserver},
	})
}

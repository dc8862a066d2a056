//go:build root

package startbench

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Git counts if the agent's program has started it, and not if this one has.
func TestTracePrograms(t *testing.T) {
	all, err := tracePrograms(func() error {
		// Bash keeps the name that it is given; the wait is for whoever looks at it.
		inner := exec.Command("bash", "-c", `exec -a buildkite-agent bash -c 'bash -c "exec -a git sleep 0.2" ; true' bootstrap`)
		outer := exec.Command("bash", "-c", "exec -a git sleep 0.2")
		if err := outer.Run(); err != nil {
			return err
		}
		return inner.Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || !strings.HasPrefix(all[0].line, agentProgram) || all[1].line != gitProgram {
		t.Fatalf("got %+v", all)
	}
	if git := all[1]; git.began < 200*time.Millisecond || git.ended-git.began < 200*time.Millisecond || git.ended-git.began > 5*time.Second {
		t.Errorf("got %+v", git)
	}
	var out strings.Builder
	if err := reportPrograms(&out, "image-volume", all); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "git\n") || !strings.Contains(out.String(), "  0.2") {
		t.Errorf("got\n%s", out.String())
	}
}

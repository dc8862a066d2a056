package endtoend

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestThreeContainersInARow(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: row
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: one, image: @SHELL@, command: ["echo one > order"]}
              - {name: two, image: @AGENT@, command: ["echo two >> order"]}
              - {name: three, image: @SHELL@, command: ["echo three >> order; echo order: $(cat order)"]}
`)
	b.passes(t)
	b.job(t, "row").logs(t, "order: one two three")
}

// The agent's own guard fails a job whose later containers have not connected
// after five minutes; ours must not.
func TestFirstContainerLongerThanFiveMinutes(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: long
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: one, image: @SHELL@, command: ["echo begun; sleep 310; echo slept"]}
              - {name: two, image: @SHELL@, command: ["echo reached"]}
`)
	j := b.job(t, "long")
	j.waitBegun(t)
	time.Sleep(305 * time.Second)
	b.passes(t)
	j.logs(t, "slept", "reached")
}

// An eviction ends the pod with its usual grace; the agent says so to Buildkite.
func TestEviction(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: evicted
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: one, image: @SHELL@, command: ["echo begun; sleep 120"]}
              - {name: two, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "evicted")
	j.waitBegun(t)
	evicted := time.Now()
	eviction := fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, j.pod(), jobNamespace)
	if _, err := kube.RunInput(t.Context(), eviction, "create", "--raw", "/api/v1/namespaces/"+jobNamespace+"/pods/"+j.pod()+"/eviction", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	b.fails(t)
	j.exitsNonZero(t)
	j.within(t, evicted, 75*time.Second)
	if log := j.logs(t, "Kubernetes is stopping this pod"); strings.Contains(log, "died") || strings.Contains(log, "more memory than its limit") {
		t.Errorf("containers are accused that merely stopped first:\n%s", log)
	}
	t.Logf("Buildkite shows %s", exitText(j.get(t)))
}

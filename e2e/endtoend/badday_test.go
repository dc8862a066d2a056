package endtoend

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// killContainer kills a container's first process, as the kernel would: from
// outside, where nothing in the pod can do anything about it.
func killContainer(t *testing.T, pod, container string) time.Time {
	t.Helper()
	process := firstProcess(t, pod, container)
	killed := time.Now()
	if err := syscall.Kill(process, syscall.SIGKILL); err != nil {
		t.Fatalf("kill container %s: %v", container, err)
	}
	return killed
}

// firstProcess finds the process of a container that is number 1 in there.
func firstProcess(t *testing.T, name, container string) int {
	t.Helper()
	pod, err := getPod(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			_, id, _ = strings.Cut(status.ContainerID, "://")
		}
	}
	paths, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil || id == "" {
		t.Fatalf("container %s has id %q, %v", container, id, err)
	}
	for _, path := range paths {
		group, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(group, []byte(id)) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			numbers := strings.Fields(line)
			if numbers[0] == "NSpid:" && numbers[len(numbers)-1] == "1" {
				process, err := strconv.Atoi(numbers[1])
				if err != nil {
					t.Fatal(err)
				}
				return process
			}
		}
	}
	t.Fatalf("no process of container %s (%s) found", container, id)
	return 0
}

// within checks how long after an event the job ended.
func (j *job) within(t *testing.T, event time.Time, limit time.Duration) {
	t.Helper()
	took := j.get(t).FinishedAt.Sub(event)
	t.Logf("%s: the job had ended %.1f s after it", t.Name(), took.Seconds())
	if took > limit {
		t.Errorf("the job had ended %.1f s after it, want at most %s", took.Seconds(), limit)
	}
}

func TestContainerKilledWhileItWaits(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: waits
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo begun; sleep 60"]}
              - {name: second, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "waits")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "second")
	b.fails(t)
	j.exitsNonZero(t)
	j.within(t, killed, 10*time.Second)
	j.logs(t, "second")
}

func TestContainerKilledWhileItRuns(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: runs
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; sleep 60"]}
`)
	j := b.job(t, "runs")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "build")
	b.fails(t)
	j.exits(t, 137)
	j.within(t, killed, 10*time.Second)
	j.logs(t, "build")
}

// Where the kernel kills a container as a whole, as with control groups of version
// 2, the job's log names the container and its limit. With version 1 it may kill a
// process of the command alone, and then the command's status is all there is.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: hungry
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - name: build
                image: @SHELL@
                command: ["echo begun; date +%s; tail /dev/zero; echo survived"]
                resources: {limits: {memory: 48Mi}}
`)
	b.fails(t)
	j := b.job(t, "hungry")
	j.exitsNonZero(t)
	if log := j.logs(t, "begun"); strings.Contains(log, "\nsurvived") {
		t.Errorf("it went on without what was killed:\n%s", log)
	}
	if took := j.get(t).FinishedAt.Sub(j.get(t).StartedAt); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// The agent cannot say anything any more. Buildkite misses it after its
// heartbeat time, and no container of the pod goes on meanwhile.
func TestAgentContainerKilled(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: orphan
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; sleep 300"]}
`)
	j := b.job(t, "orphan")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "agent")
	waitPodEnded(t, j.pod())
	t.Logf("the pod had ended %.1f s after it", time.Since(killed).Seconds())
	if took := time.Since(killed); took > 20*time.Second {
		t.Errorf("the pod's other containers ran on for %s", took)
	}
	if ended := b.wait(t); ended.State != "failed" {
		t.Errorf("the build %s", ended.State)
	}
	j.exits(t, -1)
	if record, _ := sim.Oracle().Job(j.uuid); record.Acquisitions != 1 || record.Finishes != 0 {
		t.Errorf("acquired %d times, finished %d times by an agent", record.Acquisitions, record.Finishes)
	}
}

func TestWrongArchitecture(t *testing.T) {
	t.Parallel()
	// The head of a program for another processor.
	program := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
	repository(t, "wrong-architecture", map[string]string{"program": program})
	b := startWith(t, buildOptions{repository: "wrong-architecture"}, `
steps:
  - label: foreign
    plugins:
      - kubernetes:
          commandParams: {interposer: vector}
          podSpec:
            containers:
              - {name: build, image: @NOSHELL@, command: [./program]}
`)
	b.fails(t)
	j := b.job(t, "foreign")
	j.exitsNonZero(t)
	j.logs(t, "program", "exec format error")
}

func TestCancelBeforeAcquisition(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: held
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["true"]}
              - {name: second, image: @SHELL@, command: ["true"], volumeMounts: [{name: never, mountPath: /never}]}
            volumes: [{name: never, configMap: {name: never-made}}]
`)
	j := b.job(t, "held")
	eventually(t, "the job's pod", func(ctx context.Context) (bool, error) {
		_, err := getPod(ctx, j.pod())
		return err == nil, err
	})
	if state := j.state(t); state != "scheduled" {
		t.Errorf("the job is %s while its pod cannot start", state)
	}
	cancelled := time.Now()
	j.cancel(t)
	eventually(t, "the pod to go", func(ctx context.Context) (bool, error) {
		output, err := kube.Run(ctx, "-n", jobNamespace, "get", "pod", j.pod(), "--ignore-not-found", "-o", "name")
		return output == "", err
	})
	t.Logf("the pod was gone %.1f s after the cancellation", time.Since(cancelled).Seconds())
	if record, _ := sim.Oracle().Job(j.uuid); record.Acquisitions != 0 {
		t.Errorf("the job was acquired %d times", record.Acquisitions)
	}
}

func TestCancelInTheSecondOfThree(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: three
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo first"]}
              - {name: second, image: @SHELL@, command: ["echo begun; sleep 60"]}
              - {name: third, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "three")
	j.waitBegun(t)
	cancelled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	j.within(t, cancelled, 15*time.Second)
	waitPodEnded(t, j.pod())
	if log := j.logs(t, "first"); strings.Contains(log, "\nnot reached") || strings.Contains(log, "never connected") {
		t.Errorf("the log says what did not happen:\n%s", log)
	}
}

// A command that will not end when it is told to is killed when the pod's grace
// is over.
func TestCommandIgnoresTheSignal(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: stubborn
    plugins:
      - kubernetes:
          podSpec:
            terminationGracePeriodSeconds: 12
            containers:
              - {name: build, image: @SHELL@, command: ["trap '' TERM INT; echo begun; while true; do sleep 1; done"]}
`)
	j := b.job(t, "stubborn")
	j.waitBegun(t)
	cancelled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	j.within(t, cancelled, 30*time.Second)
	waitPodEnded(t, j.pod())
}

func TestReadOnlyImagesAndArbitraryUser(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: nobody
    artifact_paths: made.txt
    plugins:
      - kubernetes:
          podSpec:
            securityContext: {runAsUser: 1234567, runAsGroup: 7654321, runAsNonRoot: true}
            containers:
              - name: build
                image: @SHELL@
                command: ["id -u > made.txt; echo user $(cat made.txt); touch /denied || echo read-only"]
                securityContext: {readOnlyRootFilesystem: true}
`)
	b.passes(t)
	b.job(t, "nobody").logs(t, "user 1234567", "read-only", "made.txt")
}

func TestFullWorkspace(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: full
    plugins:
      - kubernetes:
          podSpec:
            volumes: [{name: workspace, emptyDir: {medium: Memory, sizeLimit: 4Mi}}]
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; dd if=/dev/zero of=filler bs=1M count=100 || echo dd ended with $?; exit 9"]}
`)
	b.fails(t)
	j := b.job(t, "full")
	j.exits(t, 9)
	j.logs(t, "No space left on device", "dd ended with 1")
}

// What an earlier pod left on a volume that outlives pods neither confuses the
// coordination nor stops the checkout.
func TestStaleWorkspace(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: stale
    plugins:
      - kubernetes:
          podSpec:
            volumes: [{name: workspace, emptyDir: {}}]
            initContainers:
              - name: earlier
                image: @SHELL@
                securityContext: {runAsUser: 1500}
                command: [sh, -c]
                args:
                  - |
                    cd /workspace
                    mkdir -p sockets build/buildkite/.git .ssh run plugins
                    echo junk > buildkite.sock; echo junk > build/buildkite/.git/config; echo junk > build/buildkite/left-over
                    echo 'BUILDKITE_COMMAND=stale' > job-env; touch finished .ssh/id_rsa
                volumeMounts: [{name: workspace, mountPath: /workspace}]
            containers:
              - {name: build, image: @SHELL@, command: ["echo files $(ls)"]}
`)
	b.passes(t)
	b.job(t, "stale").logs(t, "files README.md")
}

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
	if log := j.log(t); strings.Contains(log, "died") || strings.Contains(log, "more memory than its limit") {
		t.Errorf("containers are accused that merely stopped first:\n%s", log)
	}
	t.Logf("Buildkite shows %s", exitText(j.get(t)))
}

// openNamespace is where pods may choose the agent's image and token.
const openNamespace = "buildkite-open"

func openNamespaceForJobs(t *testing.T) {
	t.Helper()
	manifest := `
apiVersion: v1
kind: Namespace
metadata: {name: ` + openNamespace + `, labels: {buildkite.com/jobs: enabled}}
---
apiVersion: v1
kind: Secret
metadata: {name: buildkite-agent-token, namespace: ` + openNamespace + `}
stringData: {BUILDKITE_AGENT_TOKEN: ` + agentToken + `}
---
apiVersion: v1
kind: Secret
metadata: {name: revoked-token, namespace: ` + openNamespace + `}
stringData: {BUILDKITE_AGENT_TOKEN: revoked}
`
	if _, err := kube.Run(t.Context(), "delete", "namespace", openNamespace, "--ignore-not-found"); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RunInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "delete", "namespace", openNamespace, "--wait=false")
	})
	eventually(t, "the service account of namespace "+openNamespace, func(ctx context.Context) (bool, error) {
		_, err := kube.Run(ctx, "-n", openNamespace, "get", "serviceaccount", "default")
		return err == nil, err
	})
}

// An agent that cannot start leaves the job as it is, and says why where people
// look.
func TestAgentThatCannotStart(t *testing.T) {
	const queue = "agentless"
	cases := map[string]struct {
		annotation string
		words      []string
	}{
		"revoked-token":   {"buildkite.com/agent-token-secret: revoked-token", []string{"401"}},
		"no-agent-binary": {"buildkite.com/agent-image: @SHELL@", []string{"buildkite-agent"}},
	}
	openNamespaceForJobs(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := openNamespace
			b := start(t, "steps: [{label: waiting, command: echo never, agents: {queue: "+queue+"}}]")
			j := b.job(t, "waiting")
			manifest := withImages(`
apiVersion: v1
kind: Pod
metadata:
  name: ` + name + `
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: ` + j.uuid + `}
  annotations: {buildkite.com/agent-tags: queue=` + queue + `, ` + tc.annotation + `}
spec:
  restartPolicy: Never
  containers: [{name: mine, image: @SHELL@, command: ["true"]}]
`)
			if _, err := create(t, namespace, manifest); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the pod to fail", func(ctx context.Context) (bool, error) {
				phase, err := kube.Run(ctx, "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}")
				return phase == string(corev1.PodFailed), err
			})
			for _, word := range tc.words {
				eventually(t, "the agent container's log to have "+word, func(ctx context.Context) (bool, error) {
					log, err := kube.Run(ctx, "-n", namespace, "logs", name, "-c", "agent")
					return strings.Contains(log, word), err
				})
			}
			if state := j.state(t); state != "scheduled" {
				t.Errorf("the job is %s", state)
			}
			j.cancel(t)
		})
	}
}

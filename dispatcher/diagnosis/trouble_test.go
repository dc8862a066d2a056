package diagnosis

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// troubledPod is an injected pod with a service, an init container and a job
// container; a case adds the status.
const troubledPod = `
metadata:
  name: p
  creationTimestamp: "2026-01-01T00:00:00Z"
  annotations: {buildkite.com/plugin: '{"checkout":{"envFrom":[{"secretRef":{"name":"git-variables"}}]}}'}
spec:
  volumes:
  - {name: buildkite-bin, image: {reference: registry.test/entrypoint:1}}
  - {name: tools, image: {reference: registry.test/tools:1}}
  initContainers:
  - {name: database, image: postgres:18, restartPolicy: Always}
  - {name: prepare, image: busybox:1}
  containers:
  - {name: build, image: registry.test/build:1}
  - {name: plain, image: agent:3}
  - {name: agent, image: agent:3}
  - {name: checkout, image: agent:3}
`

const scheduledPod = `conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-01-01T00:00:05Z"}]
phase: Pending
`

// Messages are those of containerd, the kubelet, the scheduler and registries.
func TestTroubleOf(t *testing.T) {
	cases := map[string]struct {
		status string
		want   Trouble
		// message is a part of the message.
		message string
	}{
		"nothing yet":         {`phase: Pending`, Trouble{Cause: CausePending}, ""},
		"waits for its node":  {scheduledPod, Trouble{Cause: CausePending}, ""},
		"waits for its queue": {`conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]`, Trouble{}, ""},
		"no node": {
			`conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: 1 Insufficient cpu.", lastTransitionTime: "2026-01-01T00:00:05Z"}]`,
			Trouble{Cause: CauseUnschedulable}, "1 Insufficient cpu",
		},
		"image not there": {
			waitingStatus("build", "ImagePullBackOff", `Back-off pulling image "registry.test/build:1": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image: registry.test/build:1: not found`),
			Trouble{Cause: CauseImageMissing, Container: "build", Image: "registry.test/build:1", Permanent: true}, "not found",
		},
		"other platform": {
			waitingStatus("build", "ErrImagePull", "no match for platform in manifest: not found"),
			Trouble{Cause: CauseImageMissing, Container: "build", Image: "registry.test/build:1", Permanent: true}, "platform",
		},
		"login": {
			waitingStatus("build", "ErrImagePull", "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"),
			Trouble{Cause: CauseImageForbidden, Container: "build", Image: "registry.test/build:1", Permanent: true}, "401",
		},
		"pull limit": {
			waitingStatus("build", "ErrImagePull", "unexpected status code 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."),
			Trouble{Cause: CauseImageLimit, Container: "build", Image: "registry.test/build:1"}, "429",
		},
		"registry away": {
			waitingStatus("build", "ErrImagePull", "dial tcp 10.0.0.1:443: connect: connection refused"),
			Trouble{Cause: CauseImagePull, Container: "build", Image: "registry.test/build:1"}, "refused",
		},
		"bad name": {
			waitingStatus("build", "InvalidImageName", `Failed to apply default image tag "A:B:C": couldn't parse image name`),
			Trouble{Cause: CauseImageName, Container: "build", Image: "registry.test/build:1", Permanent: true}, "couldn't parse",
		},
		"never pulled": {
			waitingStatus("build", "ErrImageNeverPull", "Container image is not present with pull policy of Never"),
			Trouble{Cause: CauseImageMissing, Container: "build", Image: "registry.test/build:1", Permanent: true}, "Never",
		},
		"the agent's image": {
			waitingStatus("agent", "ErrImagePull", "not found"),
			Trouble{Cause: CauseImageMissing, Container: "agent", Image: "agent:3", Permanent: true, Platform: true}, "",
		},
		"the agent's image, lent to a job": {
			waitingStatus("plain", "ErrImagePull", "not found"),
			Trouble{Cause: CauseImageMissing, Container: "plain", Image: "agent:3", Permanent: true, Platform: true}, "",
		},
		"the image volume, in a user's container": {
			waitingStatus("build", "ImagePullBackOff", `Back-off pulling image "registry.test/entrypoint:1": not found`),
			Trouble{Cause: CauseImageMissing, Container: "build", Image: "registry.test/build:1", Permanent: true, Platform: true}, "",
		},
		"the author's image volume, in an injected container": {
			waitingStatus("checkout", "ImagePullBackOff", `Back-off pulling image "registry.test/tools:1": not found`),
			Trouble{Cause: CauseImageMissing, Container: "checkout", Image: "registry.test/tools:1", Permanent: true}, "",
		},
		"no Secret": {
			waitingStatus("build", "CreateContainerConfigError", `secret "deploy" not found`),
			Trouble{Cause: CauseContainerConfig, Container: "build", Image: "registry.test/build:1", Permanent: true}, `secret "deploy" not found`,
		},
		"no Secret of checkout's, the author's": {
			waitingStatus("checkout", "CreateContainerConfigError", `secret "git-variables" not found`),
			Trouble{Cause: CauseContainerConfig, Container: "checkout", Image: "agent:3", Permanent: true}, `secret "git-variables" not found`,
		},
		"no key of checkout's, the author's": {
			waitingStatus("checkout", "CreateContainerConfigError", "couldn't find key token in Secret jobs/git-variables"),
			Trouble{Cause: CauseContainerConfig, Container: "checkout", Image: "agent:3", Permanent: true}, "couldn't find key token",
		},
		"no Secret of checkout's, the platform's": {
			waitingStatus("checkout", "CreateContainerConfigError", `secret "git" not found`),
			Trouble{Cause: CauseContainerConfig, Container: "checkout", Image: "agent:3", Permanent: true, Platform: true}, `secret "git" not found`,
		},
		"cannot be made": {
			waitingStatus("build", "CreateContainerError", "failed to reserve container name"),
			Trouble{Cause: CauseContainerCreate, Container: "build", Image: "registry.test/build:1", Permanent: true}, "",
		},
		"the worse of two": {
			scheduledPod + `containerStatuses:
- {name: build, state: {waiting: {reason: ErrImagePull, message: "i/o timeout"}}}
- {name: checkout, state: {waiting: {reason: CreateContainerConfigError, message: "secret not found"}}}`,
			Trouble{Cause: CauseContainerConfig, Container: "checkout", Image: "agent:3", Permanent: true, Platform: true}, "",
		},
		"service ends again and again": {
			scheduledPod + `initContainerStatuses:
- {name: database, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}`,
			Trouble{Cause: CauseServiceFailed, Container: "database", Image: "postgres:18", Permanent: true}, "database ended with exit status 137 (OOMKilled)",
		},
		"init container failed": {
			"phase: Failed\n" + `initContainerStatuses:
- {name: database, state: {terminated: {exitCode: 1}}}
- {name: prepare, state: {terminated: {exitCode: 4, reason: Error, finishedAt: "2026-01-01T00:00:07Z"}}}`,
			Trouble{Cause: CauseInitFailed, Container: "prepare", Image: "busybox:1", Permanent: true}, "prepare ended with exit status 4",
		},
		"the job failed": {`phase: Failed`, Trouble{}, ""},
		"evicted":        {"phase: Failed\nreason: Evicted\nmessage: 'The node was low on resource: memory.'", Trouble{Cause: CauseEvicted}, "low on resource"},
		"preempted": {
			"phase: Failed\n" + `conditions: [{type: DisruptionTarget, status: "True", reason: PreemptionByScheduler, message: "default-scheduler: preempting to accommodate a higher priority pod"}]`,
			Trouble{Cause: CausePreempted, Platform: true}, "higher priority",
		},
		"node lost": {
			"phase: Failed\n" + `conditions: [{type: DisruptionTarget, status: "True", reason: DeletionByTaintManager}]`,
			Trouble{Cause: CauseNodeLost, Platform: true}, "",
		},
		"node shut down": {"phase: Failed\nreason: Terminated\nmessage: Pod was terminated in response to imminent node shutdown.", Trouble{Cause: CauseNodeShutdown, Platform: true}, "shutdown"},
		"node refused":   {"phase: Failed\nreason: OutOfcpu\nmessage: Node didn't have enough resource", Trouble{Cause: CauseNodeRefused, Platform: true}, "OutOfcpu: Node"},
		"too old":        {"phase: Failed\nreason: DeadlineExceeded", Trouble{Cause: CauseDeadline, Permanent: true}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			for _, part := range []string{troubledPod, "status:\n  " + strings.ReplaceAll(tc.status, "\n", "\n  ")} {
				if err := yaml.UnmarshalStrict([]byte(part), &pod); err != nil {
					t.Fatal(err)
				}
			}
			got := TroubleOf(&pod)
			if got == nil {
				got = &Trouble{}
			}
			if !strings.Contains(got.Message, tc.message) {
				t.Errorf("message %q lacks %q", got.Message, tc.message)
			}
			if got.Cause != "" && got.Since.IsZero() && tc.status != "" && strings.Contains(tc.status, "lastTransitionTime") {
				t.Error("nothing says since when")
			}
			got.Message, got.Since = "", time.Time{}
			if *got != tc.want {
				t.Errorf("got %+v\nwant %+v", *got, tc.want)
			}
			if tc.want.Cause != "" && (Advices[tc.want.Cause] == "" || ExitStatuses[tc.want.Cause] == 0) {
				t.Errorf("cause %s has no advice or no exit status", tc.want.Cause)
			}
		})
	}
}

func waitingStatus(container, reason, message string) string {
	text, err := yaml.Marshal(corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}})
	if err != nil {
		panic(err)
	}
	return scheduledPod + string(text)
}

func TestTroubleOfDeletedPod(t *testing.T) {
	now := metav1.Now()
	if trouble := TroubleOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}); trouble != nil {
		t.Errorf("a pod that is going is in trouble: %+v", trouble)
	}
}

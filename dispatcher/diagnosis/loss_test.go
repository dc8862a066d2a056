package diagnosis

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	startedContainers = `
containerStatuses:
- {name: build, state: {BUILD}}
- {name: plain, state: {running: {startedAt: "2026-01-01T00:00:10Z"}}}
- {name: agent, state: {AGENT}}
- {name: checkout, state: {running: {startedAt: "2026-01-01T00:00:09Z"}}}
`
	isRunning = `running: {startedAt: "2026-01-01T00:00:12Z"}`
	wasKilled = `terminated: {exitCode: 137, reason: OOMKilled, startedAt: "2026-01-01T00:00:12Z", finishedAt: "2026-01-01T00:01:00Z"}`
	hasPassed = `terminated: {exitCode: 0, reason: Completed, startedAt: "2026-01-01T00:00:11Z", finishedAt: "2026-01-01T00:02:00Z"}`
	hasFailed = `terminated: {exitCode: 1, reason: Error, startedAt: "2026-01-01T00:00:11Z", finishedAt: "2026-01-01T00:02:00Z"}`
	disrupted = `
conditions: [{type: DisruptionTarget, status: "True", reason: REASON, message: "Eviction API: evicting"}]
`
)

func TestLossOf(t *testing.T) {
	cases := map[string]struct {
		build, agent, more string
		// deletion is the time by which the pod has to be gone, 30 s after it
		// was deleted.
		deletion string
		want     Trouble
		message  string
	}{
		"running":         {isRunning, isRunning, "phase: Running", "", Trouble{}, ""},
		"passed":          {hasPassed, hasPassed, "phase: Succeeded", "", Trouble{}, ""},
		"failed":          {hasFailed, hasFailed, "phase: Failed", "", Trouble{}, ""},
		"out of memory":   {wasKilled, hasFailed, "phase: Failed", "", Trouble{Cause: CauseOutOfMemory, Container: "build"}, "its memory limit is 512Mi"},
		"agent killed":    {isRunning, wasKilled, "phase: Running", "", Trouble{Cause: CauseOutOfMemory, Container: "agent", Platform: true}, "no memory limit"},
		"passed anyway":   {wasKilled, hasPassed, "phase: Failed", "", Trouble{}, ""},
		"evicted":         {hasFailed, hasFailed, "{phase: Failed, reason: Evicted, message: 'low on resource: ephemeral-storage'}", "", Trouble{Cause: CauseEvicted}, "ephemeral-storage"},
		"node shut down":  {hasFailed, hasFailed, "{phase: Failed, reason: Terminated, message: 'Pod was terminated in response to imminent node shutdown.'}", "", Trouble{Cause: CauseNodeShutdown, Platform: true}, "imminent"},
		"deadline":        {hasFailed, hasFailed, "{phase: Failed, reason: DeadlineExceeded, message: 'Pod was active on the node longer'}", "", Trouble{Cause: CauseDeadline, Permanent: true}, "longer"},
		"deleted":         {isRunning, isRunning, "phase: Running", "2026-01-01T00:01:30Z", Trouble{Cause: CauseDeleted}, ""},
		"deleted, ending": {isRunning, hasFailed, "phase: Running", "2026-01-01T00:02:20Z", Trouble{Cause: CauseDeleted}, ""},
		"deleted later":   {hasFailed, hasFailed, "phase: Failed", "2026-01-01T00:12:30Z", Trouble{}, ""},
		"drained":         {isRunning, isRunning, strings.Replace(disrupted, "REASON", "EvictionByEvictionAPI", 1), "2026-01-01T00:01:30Z", Trouble{Cause: CauseDrained, Platform: true}, "Eviction API"},
		"drained, ended":  {hasFailed, hasFailed, "phase: Failed" + strings.Replace(disrupted, "REASON", "EvictionByEvictionAPI", 1), "2026-01-01T00:02:20Z", Trouble{Cause: CauseDrained, Platform: true}, "Eviction API"},
		"collected":       {hasFailed, hasFailed, "phase: Failed" + strings.Replace(disrupted, "REASON", "DeletionByPodGC", 1), "2026-01-01T00:02:20Z", Trouble{Cause: CauseNodeLost, Platform: true}, ""},
		"drained, soon":   {hasFailed, hasFailed, "phase: Failed" + strings.Replace(disrupted, "REASON", "EvictionByEvictionAPI", 1), "2026-01-01T00:02:30Z", Trouble{Cause: CauseDrained, Platform: true}, "Eviction API"},
		"drained later":   {hasFailed, hasFailed, "phase: Failed" + strings.Replace(disrupted, "REASON", "EvictionByEvictionAPI", 1), "2026-01-01T00:12:30Z", Trouble{}, ""},
		"drained, passed": {hasPassed, hasPassed, "phase: Succeeded" + strings.Replace(disrupted, "REASON", "EvictionByEvictionAPI", 1), "2026-01-01T00:02:20Z", Trouble{}, ""},
		"preempted":       {isRunning, isRunning, strings.Replace(disrupted, "REASON", "PreemptionByScheduler", 1), "2026-01-01T00:01:30Z", Trouble{Cause: CausePreempted, Platform: true}, ""},
		"node lost":       {isRunning, isRunning, strings.Replace(disrupted, "REASON", "DeletionByTaintManager", 1), "2026-01-01T00:01:30Z", Trouble{Cause: CauseNodeLost, Platform: true}, ""},
		"never started":   {"waiting: {reason: PodInitializing}", isRunning, "phase: Pending", "2026-01-01T00:01:30Z", Trouble{}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			text := strings.Replace(troubledPod, "image: registry.test/build:1", "image: registry.test/build:1, resources: {limits: {memory: 512Mi}}", 1)
			if err := yaml.UnmarshalStrict([]byte(text), &pod); err != nil {
				t.Fatal(err)
			}
			status := strings.NewReplacer("BUILD", tc.build, "AGENT", tc.agent).Replace(startedContainers)
			for _, part := range []string{status, tc.more} {
				if err := yaml.Unmarshal([]byte(part), &pod.Status); err != nil {
					t.Fatal(err)
				}
			}
			if tc.deletion != "" {
				if err := yaml.Unmarshal([]byte("{deletionTimestamp: "+tc.deletion+", deletionGracePeriodSeconds: 30}"), &pod.ObjectMeta); err != nil {
					t.Fatal(err)
				}
			}
			var got Trouble
			if loss := LossOf(&pod); loss != nil {
				got = *loss
			}
			if got.Cause != tc.want.Cause || got.Container != tc.want.Container || got.Platform != tc.want.Platform || !strings.Contains(got.Message, tc.message) {
				t.Errorf("got %+v", got)
			}
			if got.Cause != "" && (got.LossAdvice() == "" || strings.Contains(got.LossAdvice(), "%")) {
				t.Errorf("advice %q", got.LossAdvice())
			}
		})
	}
}

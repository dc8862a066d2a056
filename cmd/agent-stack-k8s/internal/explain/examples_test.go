package explain

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/buildkite"
	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

const deleted = `{deletionTimestamp: "2026-01-01T00:04:30Z", deletionGracePeriodSeconds: 30}`

func allExamples() map[string]example {
	all := map[string]example{
		// Without a pod.
		"nothing is known":            {state: StateUnknown},
		"unknown to Buildkite":        {unknown: true, state: StateUnknown},
		"waits for the dispatcher":    {job: scheduled(), dispatchers: dispatching, state: StateWaiting},
		"capacity":                    {job: scheduled(), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, Serves: true, InFlight: 25, MaxInFlight: 25}}, state: StateWaiting},
		"no dispatcher":               {job: scheduled(), state: StateWaiting},
		"another queue":               {job: scheduled(), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, Queues: []string{"queue=kubernetes"}}}, state: StateWaiting},
		"without cluster-uuid":        {job: job(inCluster), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, IsOfAnotherCluster: true, Queues: []string{"queue=linux"}}}, state: StateWaiting},
		"another cluster-uuid":        {job: job(inCluster), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, IsOfAnotherCluster: true, Cluster: "01920000-0000-4000-8000-000000000002"}}, state: StateWaiting},
		"outside clusters":            {job: scheduled(), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, IsOfAnotherCluster: true, Cluster: "01920000-0000-4000-8000-000000000002"}}, state: StateWaiting},
		"nobody leads":                {job: scheduled(), dispatchers: []DispatcherFacts{{Name: "buildkite/dispatcher", Serves: true}}, state: StateWaiting},
		"paused":                      {job: job(pause), dispatchers: dispatching, state: StateWaiting},
		"steps before it":             {job: job(inState("WAITING")), state: StateBlocked},
		"concurrency":                 {job: job(inState("LIMITED")), state: StateBlocked},
		"runs elsewhere":              {job: job(withAgent), state: StateRunning},
		"cancelled":                   {job: job(inState("CANCELED")), state: StateWithdrawn},
		"failed by the dispatcher":    {job: job(finished("195", "STACK_ERROR")), log: []LogLine{{Message: "failed job", Cause: "image-missing", At: testNow}}, state: StateFailed},
		"ended, and its pod is gone":  {job: job(finished("1", "")), state: StateEnded},
		"the dispatcher's word alone": {log: []LogLine{{Message: "failed job", Cause: "invalid", At: testNow}}, state: StateFailed},

		// On its way.
		"mutator-missing":        {status: "phase: Pending", spec: "{nodeName: '', schedulingGates: [{name: buildkite.com/inject}]}", state: StateGated},
		"held by Kueue":          {status: "phase: Pending", spec: "{nodeName: '', schedulingGates: [{name: kueue.x-k8s.io/admission}]}", state: StateGated},
		"no node yet":            {status: "phase: Pending", spec: "{nodeName: ''}", state: StatePending},
		"starting":               {status: onNode, state: StateStarting},
		"pulling":                {status: onNode, events: []corev1.Event{event("Normal", "Pulling", `Pulling image "registry.test/build:1"`)}, state: StateStarting},
		"started, without token": {status: started(runs, runs), state: StateStarted},
		"running":                {status: started(runs, runs), job: job(withAgent), state: StateRunning},
		"agent-silent":           {status: started(runs, runs), job: scheduled(), state: StateStuck},
		"being deleted":          {status: onNode, metadata: deleted, state: StateFailed},

		// At its end.
		"passed":                  {status: started(passed, passed) + "\n", job: job(finished("0", "")), state: StateEnded},
		"failed":                  {status: started(strings.Replace(passed, "exitCode: 0", "exitCode: 7", 1), passed), state: StateEnded},
		"taken elsewhere":         {status: started(runs, strings.Replace(stopped, "exitCode: 1", "exitCode: 27", 1)), state: StateEnded},
		"ended by the supervisor": {status: started(runs, strings.Replace(stopped, "finishedAt", `message: '{"version":1,"exitStatus":1,"failure":"container build was killed","phases":{"acquired":1}}', finishedAt`, 1)), state: StateFailed},
		"ended-without-run":       {status: started(runs, stopped), state: StateFailed},

		// Troubles.
		"image-missing":            {status: waits("build", "ImagePullBackOff", `Back-off pulling image "registry.test/build:1": not found`), state: StateStuck},
		"image-missing, ours":      {status: waits("agent", "ErrImagePull", "not found"), state: StateStuck},
		"image-forbidden":          {status: waits("build", "ErrImagePull", "authorization failed"), state: StateStuck},
		"image-pull-limit":         {status: waits("build", "ErrImagePull", "429 Too Many Requests"), state: StateStuck},
		"image-pull":               {status: waits("build", "ErrImagePull", "dial tcp 10.0.0.1:443: connect: connection refused"), state: StateStuck},
		"image-name":               {status: waits("build", "InvalidImageName", "couldn't parse image name"), state: StateStuck},
		"container-config":         {status: waits("build", "CreateContainerConfigError", `secret "deploy" not found`), state: StateStuck},
		"container-create":         {status: waits("build", "CreateContainerError", "failed to reserve container name"), state: StateStuck},
		"sidecar":                  {status: onNode + "initContainerStatuses: [{name: database, restartCount: 4, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, reason: Error}}}]", state: StateStuck},
		"init-container":           {status: "phase: Failed\ninitContainerStatuses: [{name: prepare, state: {terminated: {exitCode: 4, reason: Error, startedAt: '2026-01-01T00:00:05Z', finishedAt: '2026-01-01T00:00:07Z'}}}]", state: StateFailed},
		"unschedulable":            {status: "phase: Pending\nconditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/3 nodes are available: 3 Insufficient cpu.', lastTransitionTime: '2026-01-01T00:00:01Z'}]", spec: "{nodeName: ''}", state: StatePending},
		"pending, a volume":        {status: onNode, events: []corev1.Event{event("Normal", "Scheduled", "…"), event("Warning", "FailedMount", `configmap "none" not found`)}, state: StateStuck},
		"evicted":                  {status: podFailed("Evicted", "The node was low on resource: memory."), state: StateFailed},
		"preempted":                {status: "phase: Failed" + disrupted("PreemptionByScheduler"), state: StateFailed},
		"node-lost":                {status: "phase: Failed" + disrupted("DeletionByTaintManager"), state: StateFailed},
		"node-shutdown":            {status: podFailed("Terminated", "Pod was terminated in response to imminent node shutdown."), state: StateFailed},
		"node-refused":             {status: podFailed("OutOfcpu", "Node didn't have enough resource: cpu"), state: StateFailed},
		"deadline":                 {status: podFailed("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"), state: StateFailed},
		"deadline, while it ran":   {status: strings.Replace(started(stopped, stopped), "phase: Running", "phase: Failed\nreason: DeadlineExceeded", 1), state: StateLost},
		"out-of-memory":            {status: started(strings.NewReplacer("exitCode: 1", "exitCode: 137", "reason: Error", "reason: OOMKilled").Replace(stopped), stopped), state: StateLost},
		"deleted":                  {status: started(runs, runs), metadata: deleted, state: StateLost},
		"drained":                  {status: withDisruption("EvictionByEvictionAPI"), metadata: deleted, state: StateLost},
		"preempted, while it ran":  {status: withDisruption("PreemptionByScheduler"), metadata: deleted, state: StateLost},
		"node-lost, while it ran":  {status: withDisruption("DeletionByTaintManager"), metadata: deleted, state: StateLost},
		"a sidecar, while it runs": {status: started(runs, runs) + "initContainerStatuses: [{name: database, restartCount: 2, state: {running: {startedAt: '2026-01-01T00:04:00Z'}}}]", state: StateStarted},
	}
	// What the API server refuses leaves no pod: the dispatcher's log has the
	// cause, and Buildkite the exit status.
	for cause := range causes() {
		if _, known := all[cause]; known || diagnosis.ExitStatuses[cause] != 0 || diagnosis.LossAdvices[cause] != "" {
			continue
		}
		all[cause] = example{job: job(finished("193", "STACK_ERROR")), log: held(cause, "the words of the cluster"), state: StateFailed}
		all[cause+", held"] = example{job: scheduled(), dispatchers: dispatching, log: held(cause, "the words of the cluster"), state: StateWaiting}
	}
	return all
}

func withDisruption(reason string) string {
	return strings.Replace(started(runs, runs), "conditions:", "conditions:\n- {type: DisruptionTarget, status: 'True', reason: "+reason+", message: 'the words of the cluster'}", 1)
}

func inCluster(j *buildkite.Job) {
	j.Cluster = &buildkite.ClusterName{UUID: "01920000-0000-4000-8000-000000000001", Name: "Default cluster"}
}

func pause(j *buildkite.Job) {
	j.Queue = &struct {
		Key    string `json:"key"`
		Paused bool   `json:"dispatchPaused"`
	}{"linux", true}
}

func withAgent(j *buildkite.Job) {
	j.State, j.StartedAt = "RUNNING", testNow.Add(-4*60*1e9)
	j.Agent = &struct {
		Name            string `json:"name"`
		Hostname        string `json:"hostname"`
		ConnectionState string `json:"connectionState"`
	}{"agent-1", "host-1", "connected"}
}

func inState(state string) func(*buildkite.Job) {
	return func(j *buildkite.Job) { j.State, j.FinishedAt = state, testNow.Add(-30*1e9) }
}

func finished(status, reason string) func(*buildkite.Job) {
	return func(j *buildkite.Job) {
		j.State, j.ExitStatus, j.SignalReason, j.FinishedAt = "FINISHED", status, reason, testNow.Add(-30*1e9)
	}
}

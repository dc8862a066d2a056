package startbench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Shape is a way to make a pod for a job.
type Shape struct {
	// Name is for the table.
	Name string
	// pod is the pod's manifest, with @…@ for what differs from run to run.
	pod string
}

// command prints the machine's uptime, so that the time of the first output is
// known to a hundredth of a second, however late the log comes.
const command = "cat /proc/uptime"

// shapes are compared in this order; ratios are to the first.
func shapes() []Shape {
	return []Shape{
		{Name: "existing", pod: existingPod},
		{Name: "init-container", pod: injectedPod},
		{Name: "image-volume", pod: strings.ReplaceAll(injectedPod, initContainerMutator, imageVolumeMutator)},
		{Name: "floor: plain agent", pod: plainPod},
		{Name: "existing, v0.47", pod: existingPodCommandFirst},
	}
}

// chosenShapes returns those of the names, in the order of the comparison.
func chosenShapes(names []string) ([]Shape, error) {
	all := shapes()
	if len(names) == 0 {
		return all, nil
	}
	known := make([]string, len(all))
	for i, shape := range all {
		known[i] = shape.Name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no kind of pod named %q; there are %q", name, known)
		}
	}
	return slices.DeleteFunc(all, func(shape Shape) bool { return !slices.Contains(names, shape.Name) }), nil
}

// Values of the mutator label: which of the two configurations injects.
const (
	initContainerMutator = "bench-init-container"
	imageVolumeMutator   = "bench-image-volume"
)

// existingPod has the containers, commands and environment that the existing
// stack (v0.47) gives a pod by default, written by hand: a container that copies the
// agent, one that checks the image, and then the three of the job, of which the agent
// and the checkout start with the entrypoint of the agent's image. The pod has a
// service account's token and service links, because it does not turn them off. It
// is given the order of the first measurements; existingPodCommandFirst has v0.47's.
// Left out are its pulls of each image that has no digest (ours have one), the Job
// around the pod, the list of redacted variables, which is the agent's own, and what
// it does in a shell for users other than root. Source: internal/controller/scheduler
// of github.com/buildkite/agent-stack-k8s v0.47.0.
const existingPod = existingStart + existingAgent + existingCommand

// existingPodCommandFirst has the command before the agent. The command's client
// finds no socket and looks again a second later; in the other order it finds that it
// is not its turn and asks again a second later. That second begins sooner here.
const existingPodCommandFirst = existingStart + existingCommand + existingAgent

const existingStart = `
apiVersion: v1
kind: Pod
metadata: {name: @NAME@, namespace: @NAMESPACE@}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 60
  volumes:
  - {name: workspace, emptyDir: {}}
  initContainers:
  - name: copy-agent
    image: @AGENT@
    command: [/bin/sh, -cefx]
    args:
    - |
      mkdir /workspace/build /workspace/plugins /workspace/sockets
      chmod 777 /workspace/build /workspace/plugins /workspace/sockets
      cp /usr/local/bin/buildkite-agent /workspace
      if [ -f /sbin/tini-static ]; then cp /sbin/tini-static /workspace; else cp /usr/bin/tini-static /workspace; fi
    volumeMounts: [{name: workspace, mountPath: /workspace}]
  - name: imagecheck-0
    image: @SHELL@
    command: [/workspace/tini-static]
    args: [--version]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}
    volumeMounts: [{name: workspace, mountPath: /workspace}]
  containers:
`

const existingAgent = `  - name: agent
    image: @AGENT@
    args: [start]
    workingDir: /workspace
    env:
    - {name: BUILDKITE_KUBERNETES_EXEC, value: "true"}
    - {name: BUILDKITE_CONTAINER_COUNT, value: "2"}
    - {name: BUILDKITE_AGENT_NAME, value: @NAME@}
    - {name: BUILDKITE_AGENT_TAGS, value: "queue=bench,k8s:agent-stack-version=0.47.0"}
    - {name: BUILDKITE_K8S_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: BUILDKITE_K8S_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: BUILDKITE_K8S_SERVICE_ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: BUILDKITE_BUILD_PATH, value: /workspace/build}
    - {name: BUILDKITE_HOOKS_PATH, value: /workspace/hooks}
    - {name: BUILDKITE_PLUGINS_PATH, value: /workspace/plugins}
    - {name: BUILDKITE_SOCKETS_PATH, value: /workspace/sockets/agent}
    - {name: BUILDKITE_SHELL, value: /bin/sh -ec}
    - {name: BUILDKITE_AGENT_TOKEN, valueFrom: {secretKeyRef: {name: buildkite-agent-token, key: BUILDKITE_AGENT_TOKEN}}}
    - {name: BUILDKITE_AGENT_ACQUIRE_JOB, value: @JOB@}
    - {name: BUILDKITE_AGENT_ENDPOINT, value: @ENDPOINT@}
    - {name: BUILDKITE_CANCEL_GRACE_PERIOD, value: "60"}
    - {name: BUILDKITE_SIGNAL_GRACE_PERIOD_SECONDS, value: "50"}
    volumeMounts: [{name: workspace, mountPath: /workspace}]
  - name: checkout
    image: @AGENT@
    command: [/bin/sh, -c]
    args:
    - |-
      set -exuf
      true
      buildkite-agent-entrypoint kubernetes-bootstrap
    workingDir: /workspace
    env:
    - {name: BUILDKITE_BOOTSTRAP_PHASES, value: "plugin,checkout"}
    - {name: BUILDKITE_CONTAINER_ID, value: "0"}
    - {name: BUILDKITE_SOCKETS_PATH, value: /workspace/sockets/checkout}
    volumeMounts: [{name: workspace, mountPath: /workspace}]
`

const existingCommand = `  - name: container-0
    image: @SHELL@
    command: [/workspace/tini-static]
    args: [--, /workspace/buildkite-agent, kubernetes-bootstrap]
    workingDir: /workspace
    env:
    - {name: BUILDKITE_BOOTSTRAP_PHASES, value: "plugin,command"}
    - {name: BUILDKITE_COMMAND, value: "@COMMAND@"}
    - {name: BUILDKITE_CONTAINER_ID, value: "1"}
    - {name: BUILDKITE_SOCKETS_PATH, value: /workspace/sockets/container-0}
    volumeMounts: [{name: workspace, mountPath: /workspace}]
`

// injectedPod is what the dispatcher submits; a mutator makes the rest.
const injectedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: @NAME@
  namespace: @NAMESPACE@
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: @JOB@, buildkite.com/mutator: ` + initContainerMutator + `}
  annotations: {buildkite.com/agent-tags: queue=bench, buildkite.com/job-containers: container-0, buildkite.com/skip-fetch: "true"}
spec:
  restartPolicy: Never
  enableServiceLinks: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 60
  schedulingGates: [{name: buildkite.com/inject}]
  containers:
  - name: container-0
    image: @SHELL@
    command: [sh, -c, "@COMMAND@"]
`

// plainPod is the least that can run the job: one container with the agent as it
// runs on any machine, which does everything itself.
const plainPod = `
apiVersion: v1
kind: Pod
metadata: {name: @NAME@, namespace: @NAMESPACE@}
spec:
  restartPolicy: Never
  enableServiceLinks: false
  automountServiceAccountToken: false
  containers:
  - name: agent
    image: @AGENT@
    args: [start]
    env:
    - {name: BUILDKITE_AGENT_NAME, value: @NAME@}
    - {name: BUILDKITE_AGENT_TOKEN, valueFrom: {secretKeyRef: {name: buildkite-agent-token, key: BUILDKITE_AGENT_TOKEN}}}
    - {name: BUILDKITE_AGENT_ENDPOINT, value: @ENDPOINT@}
    - {name: BUILDKITE_AGENT_ACQUIRE_JOB, value: @JOB@}
    - {name: BUILDKITE_AGENT_TAGS, value: queue=bench}
    - {name: BUILDKITE_SHELL, value: /bin/sh -ec}
`

// injected says whether a mutator completes the pod.
func (s Shape) injected() bool { return strings.Contains(s.pod, contract.InjectLabel) }

// fill puts the values of a run in.
func (s Shape) fill(values map[string]string) string {
	pairs := []string{"@COMMAND@", command}
	for name, value := range values {
		pairs = append(pairs, "@"+name+"@", value)
	}
	return strings.NewReplacer(pairs...).Replace(s.pod)
}

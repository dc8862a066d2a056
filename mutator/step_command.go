package mutator

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Variables of wrapped containers.
const (
	commandVariable     = "BUILDKITE_COMMAND"
	containerIDVariable = "BUILDKITE_CONTAINER_ID"
	phasesVariable      = "BUILDKITE_BOOTSTRAP_PHASES"
	contextVariable     = "BUILDKITE_JOB_CONTEXT_DIR"
	socketsVariable     = "BUILDKITE_SOCKETS_PATH"
	shellVariable       = "BUILDKITE_SHELL"

	commandPhases = "plugin,command"
)

// wrapJobContainers lets the entrypoint run the job containers.
func wrapJobContainers(pod *corev1.Pod, plan *Plan) {
	for i := range plan.Containers {
		planned := &plan.Containers[i]
		if container := findContainer(pod.Spec.Containers, planned.Name); container != nil {
			wrap(container, planned, commandPhases)
		}
	}
}

// wrap makes the entrypoint a container's program, with the container's own
// command as its last arguments, so that Kubernetes replaces $(VARIABLE) in them
// as it always does. Our variables come after the user's, which then mean what
// they meant.
func wrap(container *corev1.Container, plan *ContainerPlan, phases string) {
	if plan.Image != "" {
		container.Image = plan.Image
	}
	container.Command = []string{contract.EntrypointPath}
	container.Args = slices.Concat(plan.args(), plan.words)
	// The runtime would create a deeper directory, as root, before there is a
	// checkout; the entrypoint changes to the user's after it.
	container.WorkingDir = contract.WorkspacePath
	for _, variable := range wrapEnv(plan, phases) {
		ensureEnv(container, variable)
	}
	for _, variable := range plan.Env {
		ensureEnv(container, variable)
	}
	ensureEnvFrom(container, plan.EnvFrom)
	ensureMount(container, workspaceMount())
	ensureMount(container, binMount())
	ensureMount(container, agentBinaryMount(true))
	ensureMount(container, runMount())
	for _, mount := range plan.Mounts {
		ensureMount(container, mount)
	}
}

// args are the entrypoint's, up to the container's own words.
func (p *ContainerPlan) args() []string {
	args := []string{contract.EntrypointRun, "--id=" + strconv.Itoa(p.ID)}
	if p.Interposer != "" {
		args = append(args, "--interposer="+string(p.Interposer))
	}
	if p.Interposer == InterposerBuildkite {
		args = append(args, "--commands="+strconv.Itoa(p.Commands))
	}
	if p.WorkingDirectory != "" {
		// Kubernetes replaces nothing in a workingDir, but it does in args.
		args = append(args, "--working-directory="+literal(p.WorkingDirectory))
	}
	if len(p.OwnVariables) > 0 {
		args = append(args, "--own-variables="+strings.Join(p.OwnVariables, ","))
	}
	if p.SSHDirectory != "" {
		args = append(args, "--ssh-directory="+literal(p.SSHDirectory))
	}
	if p.Interposer != "" {
		args = append(args, "--")
	}
	return args
}

func wrapEnv(plan *ContainerPlan, phases string) []corev1.EnvVar {
	id := strconv.Itoa(plan.ID)
	return []corev1.EnvVar{
		env(containerIDVariable, id),
		env(phasesVariable, phases),
		env(contextVariable, contract.RunPath),
		// By ID, not name: the path of a Unix socket is short.
		env(socketsVariable, contract.SocketsPath+"/"+id),
	}
}

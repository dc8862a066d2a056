package mutator

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	agentHome    = contract.HomesPath + "/agent"
	agentSockets = contract.SocketsPath + "/agent"
)

// Variables of the agent's container.
const (
	endpointVariable    = "BUILDKITE_AGENT_ENDPOINT"
	redactedVariable    = "BUILDKITE_REDACTED_VARS"
	cancelGraceVariable = "BUILDKITE_CANCEL_GRACE_PERIOD"
	signalGraceVariable = "BUILDKITE_SIGNAL_GRACE_PERIOD_SECONDS"
	// gitMirrorPrefix and mirrorFlagsVariable are of mirrors of repositories.
	gitMirrorPrefix     = "BUILDKITE_GIT_MIRROR"
	mirrorFlagsVariable = "BUILDKITE_GIT_CLONE_MIRROR_FLAGS"
)

// addAgent adds the container of the agent: it takes the job and hands out its
// parts. It alone has the agent token, as a file: its environment is sent to
// every container, and /proc shows it to the pod.
func addAgent(pod *corev1.Pod, plan *Plan) {
	ensureVolume(pod, corev1.Volume{Name: contract.AgentTokenVolume, VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{
			SecretName:  plan.AgentTokenSecret,
			Items:       []corev1.KeyToPath{{Key: contract.TokenKey, Path: contract.TokenKey}},
			DefaultMode: ptr.To[int32](0o444),
		},
	}})
	agent := corev1.Container{
		Name:            contract.AgentContainer,
		Image:           plan.AgentImage,
		ImagePullPolicy: plan.AgentImagePullPolicy,
		Command:         []string{contract.EntrypointPath},
		Args:            agentArgs(plan),
		Env:             agentEnv(plan),
		VolumeMounts: slices.Concat([]corev1.VolumeMount{
			workspaceMount(), binMount(), agentBinaryMount(false), runMount(),
			{Name: contract.AgentTokenVolume, MountPath: contract.TokenPath, ReadOnly: true},
		}, plan.AgentMounts),
		SecurityContext: restricted(plan.User),
	}
	if plan.Resources != nil {
		agent.Resources = plan.Resources.Agent
	}
	pod.Spec.Containers = ensureContainer(pod.Spec.Containers, agent, -1)
}

func agentArgs(plan *Plan) []string {
	args := []string{
		contract.EntrypointAgent,
		"--containers=" + strconv.Itoa(len(plan.wrappedNames())),
		"--names=" + strings.Join(plan.wrappedNames(), ","),
		"--agent-binary=" + literal(plan.AgentBinary),
	}
	if len(plan.Images) > 0 {
		args = append(args, "--images="+literal(strings.Join(plan.Images, ",")))
	}
	if plan.version != "" {
		args = append(args, "--mutator-version="+literal(plan.version))
	}
	if plan.JobUUID != "" {
		args = append(args, "--job-uuid="+literal(plan.JobUUID))
	} else {
		args = append(args, "--idle-timeout="+strconv.FormatInt(plan.IdleSeconds, 10)+"s")
	}
	if plan.Checkout != nil && plan.Checkout.Assured {
		args = append(args, "--assured="+plan.Checkout.Name)
	}
	if plan.HoldSeconds > 0 {
		args = append(args, "--hold-timeout="+strconv.FormatInt(plan.HoldSeconds, 10)+"s")
	}
	if plan.IgnoreJobPodSpec {
		args = append(args, "--ignore-job-pod-spec")
	}
	return append(args, "--exit-status="+plan.ExitStatus)
}

// agentEnv is the agent's environment. It reaches every container of the job,
// and wins over their own: the agent sends it to its clients.
func agentEnv(plan *Plan) []corev1.EnvVar {
	cancel, signal := plan.gracePeriods()
	variables := []corev1.EnvVar{
		env("BUILDKITE_AGENT_TOKEN", "file://"+contract.TokenPath+"/"+contract.TokenKey),
		env("BUILDKITE_KUBERNETES_EXEC", "true"),
		env("BUILDKITE_CONTAINER_COUNT", strconv.Itoa(len(plan.wrappedNames()))),
		// Buildkite shows the agent of a job by this name.
		fieldEnv("BUILDKITE_AGENT_NAME", "metadata.name"),
		// This is about the agent's own log, the container's, which is read where
		// there are no colours. The agent does not hand it on to jobs, whose logs
		// keep theirs.
		env("BUILDKITE_AGENT_NO_COLOR", "true"),
		env("BUILDKITE_AGENT_PING_MODE", "poll-only"),
		// The entrypoint watches the containers itself, and knows how long an
		// image may take; the agent's own limit would end healthy jobs.
		env("BUILDKITE_KUBERNETES_CONTAINER_START_TIMEOUT", "-1s"),
		env("BUILDKITE_BUILD_PATH", contract.BuildPath),
		env("BUILDKITE_HOOKS_PATH", contract.HooksPath),
		env("BUILDKITE_PLUGINS_PATH", contract.PluginsPath),
		env(contextVariable, contract.RunPath),
		env(socketsVariable, agentSockets),
		env(shellVariable, contract.DefaultShell),
		env(cancelGraceVariable, strconv.FormatInt(cancel, 10)),
		env(signalGraceVariable, strconv.FormatInt(signal, 10)),
		env(redactedVariable, literal(strings.Join(slices.Concat(redactedDefaults, redactedSSHKeys, plan.RedactedVars), ","))),
		fieldEnv(contract.PodVariable, "metadata.name"),
		fieldEnv("BUILDKITE_K8S_NODE", "spec.nodeName"),
		fieldEnv("BUILDKITE_K8S_NAMESPACE", "metadata.namespace"),
		fieldEnv("BUILDKITE_K8S_SERVICE_ACCOUNT", "spec.serviceAccountName"),
		env("HOME", agentHome),
	}
	if plan.AgentTags != "" {
		variables = append(variables, env("BUILDKITE_AGENT_TAGS", literal(plan.AgentTags)))
	}
	if plan.AgentEndpoint != "" {
		variables = append(variables, env(endpointVariable, literal(plan.AgentEndpoint)))
	}
	variables = append(variables, jobEnv(plan)...)
	for _, variable := range slices.Concat(plan.AgentEnv, plan.GitEnv) {
		variables = slices.DeleteFunc(variables, func(earlier corev1.EnvVar) bool { return earlier.Name == variable.Name })
		variables = append(variables, variable)
	}
	return variables
}

// gracePeriods are how many seconds a cancelled job has, and its command. The
// agent refuses more for the command than for the job.
func (p *Plan) gracePeriods() (cancel, signal int64) {
	cancel = ptr.Deref(p.CancelGraceSeconds, max(p.GraceSeconds, 1))
	return cancel, min(ptr.Deref(p.SignalGraceSeconds, max(cancel-10, 0)), cancel)
}

// jobEnv says which job to take.
func jobEnv(plan *Plan) []corev1.EnvVar {
	if plan.JobUUID != "" {
		return []corev1.EnvVar{env("BUILDKITE_AGENT_ACQUIRE_JOB", literal(plan.JobUUID))}
	}
	return []corev1.EnvVar{
		env("BUILDKITE_AGENT_DISCONNECT_AFTER_JOB", "true"),
		env("BUILDKITE_AGENT_DISCONNECT_AFTER_IDLE_TIMEOUT", strconv.FormatInt(plan.IdleSeconds, 10)),
	}
}

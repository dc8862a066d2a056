package mutator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// readPlatform plans what the configuration adds to the agent, checkout and job
// containers: the agent's settings, and the way to the network. It comes after
// these are planned.
func (r *reading) readPlatform() {
	r.readAgentSettings()
	r.readAgentDirectories()
	r.readCABundle()
	for i := range r.plan.Containers {
		r.readJobEnv(&r.plan.Containers[i])
	}
	if checkout := r.plan.Checkout; checkout != nil {
		checkout.Env = append(checkout.Env, r.config.Proxy.variables(nil)...)
		if r.config.CABundle != nil {
			checkout.Env = append(checkout.Env, r.config.CABundle.variables(nil)...)
		}
	}
}

func (r *reading) readAgentSettings() {
	agent, plan := r.config.Agent, &r.plan
	plan.AgentEnv = append(r.config.Proxy.variables(nil), agent.variables()...)
	plan.RedactedVars = agent.RedactedVars
	plan.HoldSeconds = ptr.Deref(r.config.HoldTimeoutSeconds, 0)
	plan.CancelGraceSeconds, plan.SignalGraceSeconds = agent.CancelGracePeriod, agent.SignalGracePeriod
}

// readJobEnv plans the variables of a job container, which its own come before.
func (r *reading) readJobEnv(planned *ContainerPlan) {
	own := findContainer(r.pod.Spec.Containers, planned.Name).Env
	if shell := r.config.Agent.Shell; shell != "" && planned.Interposer != InterposerVector && !setsVariable(own, shellVariable) {
		planned.Env = append(planned.Env, env(shellVariable, literal(shell)))
	}
	planned.Env = append(planned.Env, r.config.Proxy.variables(own)...)
	if r.config.CABundle.inJobContainers() {
		planned.Env = append(planned.Env, r.config.CABundle.variables(own)...)
	}
	planned.OwnVariables = r.ownVariables(own)
	if !r.sharesKeys() {
		planned.SSHDirectory = contract.SSHDirectoryNone
	}
}

// ownVariables lists the variables of the configuration that a container has
// chosen for itself.
func (r *reading) ownVariables(own []corev1.EnvVar) []string {
	names := r.config.Proxy.chosen(own)
	for _, name := range slices.Sorted(maps.Keys(r.config.Agent.Env)) {
		if setsVariable(own, name) && !strings.HasPrefix(name, agentPrefix) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// agentPrefix precedes variables that are settings of the agent's, which go for
// the whole job.
const agentPrefix = "BUILDKITE_"

func (r *reading) readAgentDirectories() {
	for _, directory := range r.config.Agent.directories() {
		if directory.volume == nil {
			continue
		}
		r.plan.Volumes = append(r.plan.Volumes, renamed(directory.volume, directory.volumeName))
		r.plan.AgentMounts = append(r.plan.AgentMounts, directory.mount())
		if directory.inCheckout && r.plan.Checkout != nil {
			r.mountOurs(r.plan.Checkout, directory.mount())
		}
		if directory.inJobs {
			r.mountInJobs(directory.mount())
		}
	}
}

func (r *reading) readCABundle() {
	bundle := r.config.CABundle
	if bundle == nil {
		return
	}
	r.plan.Volumes = append(r.plan.Volumes, bundle.volume())
	r.plan.AgentMounts = append(r.plan.AgentMounts, bundle.agentMount())
	if r.plan.Checkout != nil {
		r.mountOurs(r.plan.Checkout, bundle.mount())
	}
	if bundle.inJobContainers() {
		r.mountInJobs(bundle.mount())
	}
}

func (r *reading) mountInJobs(mount corev1.VolumeMount) {
	for i := range r.plan.Containers {
		r.mountOurs(&r.plan.Containers[i], mount)
	}
}

// mountOurs plans a mount of one of our volumes. Where the user has mounted
// something there is no telling which of the two the job needs.
func (r *reading) mountOurs(planned *ContainerPlan, mount corev1.VolumeMount) {
	if mountsPath(planned.Mounts, mount.MountPath) {
		r.refuse(field.Invalid(pluginPath, mount.MountPath, fmt.Sprintf("an extra mount of the container %s is where the volume %s goes; mount yours elsewhere", planned.Name, mount.Name)))
		return
	}
	for i := range r.pod.Spec.Containers {
		container := &r.pod.Spec.Containers[i]
		if container.Name == planned.Name && mountsPath(container.VolumeMounts, mount.MountPath) {
			r.refuse(field.Invalid(containersPath.Index(i).Child("volumeMounts"), mount.MountPath,
				fmt.Sprintf("the volume %s goes here; mount yours elsewhere", mount.Name)))
			return
		}
	}
	planned.Mounts = append(planned.Mounts, mount)
}

package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// reservedEnv are the variables of wrapped containers, and what to do instead
// of setting them.
var reservedEnv = map[string]string{
	commandVariable:         "set the container's command and args instead",
	containerIDVariable:     "the order of containers comes from the pod; remove the variable",
	phasesVariable:          "remove the variable",
	contextVariable:         "remove the variable",
	socketsVariable:         "remove the variable",
	"BUILDKITE_AGENT_TOKEN": "job containers have no agent token; remove the variable",
}

// checkEnv refuses variables that we set, and those that no program can be
// started with.
func (r *reading) checkEnv() {
	for i, container := range r.pod.Spec.InitContainers {
		r.checkEnvSizes(container.Env, initContainersPath.Index(i).Child("env"))
	}
	for i, container := range r.pod.Spec.Containers {
		r.checkEnvSizes(container.Env, containersPath.Index(i).Child("env"))
		place := slices.Index(r.plan.jobContainerNames(), container.Name)
		if place < 0 {
			continue
		}
		for j, variable := range container.Env {
			r.checkEnvName(variable.Name, containersPath.Index(i).Child("env").Index(j).Child("name"), r.plan.Containers[place])
		}
	}
	for i, service := range r.plugin.Sidecars {
		r.checkEnvSizes(service.Env, pluginPath.Child("sidecars").Index(i).Child("env"))
	}
}

func (r *reading) checkEnvName(name string, path *field.Path, plan ContainerPlan) {
	if advice, reserved := reservedEnv[name]; reserved {
		r.refuse(field.Invalid(path, name, "reserved in job containers; "+advice))
	}
	if name == shellVariable && plan.Interposer == InterposerVector {
		r.refuse(field.Invalid(path, name, "this container's command runs as it is, without the agent's shell; remove the variable"))
	}
}

func (r *reading) checkEnvSizes(variables []corev1.EnvVar, path *field.Path) {
	for i, variable := range variables {
		r.checkSize(path.Index(i).Child("value"), variable.Name, variable.Value)
	}
}

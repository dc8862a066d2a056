package mutator

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// InjectedPatch is what the platform's podSpecPatch adds to an injected
// container; its resources are with the others'.
type InjectedPatch struct {
	Env     []corev1.EnvVar        `json:"env,omitempty"`
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`
	Mounts  []corev1.VolumeMount   `json:"mounts,omitempty"`
}

// mergeInjected plans the resources of the injected containers and what patches
// add to them. A pod with resources of its own shares those with them, unless a
// patch says otherwise.
func (r *reading) mergeInjected(platform, author specPatch) {
	resources := InjectedResources{}
	if r.pod.Spec.Resources == nil {
		resources = *r.config.Injected.Resources.deepCopy()
	}
	for _, injected := range []struct {
		name      string
		resources *corev1.ResourceRequirements
	}{
		{contract.AgentContainer, &resources.Agent},
		{contract.CheckoutContainer, &resources.Checkout},
		{contract.InstallContainer, &resources.Install},
	} {
		name := injected.name
		container := corev1.Container{Name: name, Resources: *injected.resources}
		for _, part := range []containerPatch{platform.injected[name], author.injected[name]} {
			if part.tree == nil {
				continue
			}
			r.errs = append(r.errs, mergeInto(&container, part.tree, containerSchema(), part.path)...)
			r.errs = append(r.errs, validateResources(part.path.Child("resources"), container.Resources)...)
		}
		*injected.resources = container.Resources
		addition := InjectedPatch{Env: container.Env, EnvFrom: container.EnvFrom, Mounts: container.VolumeMounts}
		if len(addition.Env)+len(addition.EnvFrom)+len(addition.Mounts) > 0 {
			if r.plan.Injected == nil {
				r.plan.Injected = map[string]InjectedPatch{}
			}
			r.plan.Injected[name] = addition
		}
	}
	if r.pod.Spec.Resources == nil || len(platform.injected)+len(author.injected) > 0 {
		r.plan.Resources = &resources
	}
}

func (r *InjectedResources) deepCopy() *InjectedResources {
	return &InjectedResources{Agent: *r.Agent.DeepCopy(), Checkout: *r.Checkout.DeepCopy(), Install: *r.Install.DeepCopy()}
}

// checkoutVariables are the sources of variables that checkout alone has: the
// platform's and the plugin's.
func (r *reading) checkoutVariables(checkout CheckoutParams) []corev1.EnvFromSource {
	return slices.Concat(r.config.DefaultCheckoutParams.EnvFrom, checkout.EnvFrom, r.plan.Injected[contract.CheckoutContainer].EnvFrom)
}

// patchInjected adds to injected containers what the platform's patch has for
// them.
func patchInjected(pod *corev1.Pod, plan *Plan) {
	for _, name := range slices.Sorted(maps.Keys(plan.Injected)) {
		container := findContainer(pod.Spec.Containers, name)
		if container == nil {
			container = findContainer(pod.Spec.InitContainers, name)
		}
		if container == nil {
			// There is no checkout where it is skipped.
			continue
		}
		addition := plan.Injected[name]
		for _, variable := range addition.Env {
			ensureEnv(container, *variable.DeepCopy())
		}
		ensureEnvFrom(container, addition.EnvFrom)
		for _, mount := range addition.Mounts {
			ensureMount(container, *mount.DeepCopy())
		}
	}
}

// injectedVariables are the names of all variables that injected containers
// are made with.
func injectedVariables() sets.Set[string] {
	names := sets.New[string]()
	for _, uuid := range []string{"", "uuid"} {
		var pod corev1.Pod
		plan := Plan{JobUUID: uuid, AgentTags: "a=b", AgentEndpoint: "e", Checkout: &ContainerPlan{Name: contract.CheckoutContainer}}
		addAgent(&pod, &plan)
		addCheckout(&pod, &plan)
		for _, container := range pod.Spec.Containers {
			for _, variable := range container.Env {
				names.Insert(variable.Name)
			}
		}
	}
	return names
}

// validateInjected checks what the platform's patch adds to the injected
// containers.
func validateInjected(patch specPatch) field.ErrorList {
	var r reading
	owned := injectedVariables()
	for _, name := range slices.Sorted(maps.Keys(patch.injected)) {
		part := patch.injected[name]
		container := corev1.Container{Name: name}
		r.errs = append(r.errs, mergeInto(&container, part.tree, containerSchema(), part.path)...)
		for i, variable := range container.Env {
			if _, reserved := reservedEnv[variable.Name]; reserved || owned.Has(variable.Name) {
				r.refuse(field.Invalid(part.path.Child("env").Index(i).Child("name"), variable.Name, "set by the mutator; remove the variable"))
			}
		}
		r.checkMountList(container.VolumeMounts, part.path.Child("volumeMounts"), true)
	}
	return r.errs
}

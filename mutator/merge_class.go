package mutator

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// mergeResourceClass gives the pod what its class has: resources where the pod
// says nothing about them, and the nodes of the class.
func (r *reading) mergeResourceClass() {
	name, set := r.pod.Annotations[contract.ResourceClassAnnotation]
	path := annotationsPath.Key(contract.ResourceClassAnnotation)
	if !set {
		name = r.config.DefaultResourceClassName
	}
	class, exists := r.config.ResourceClasses[name]
	switch {
	case exists:
	case !set && name == "":
		return
	case len(r.config.ResourceClasses) == 0:
		r.refuse(field.Invalid(path, name, "the platform has no resource classes; remove it"))
		return
	default:
		r.refuse(field.NotSupported(path, name, slices.Sorted(maps.Keys(r.config.ResourceClasses))))
		return
	}
	for _, index := range r.jobContainers {
		container := &r.pod.Spec.Containers[index]
		r.dropNamespaceDefaults(container, class.Resources)
		addResources(&container.Resources, class.Resources)
	}
	if class.PodResource != nil {
		if r.pod.Spec.Resources == nil {
			r.pod.Spec.Resources = &corev1.ResourceRequirements{}
		}
		addResources(r.pod.Spec.Resources, *class.PodResource)
	}
	if len(class.NodeSelector) > 0 {
		// The class is a choice of nodes, and the name says which.
		r.pod.Spec.NodeSelector = withDefaults(class.NodeSelector, r.pod.Spec.NodeSelector)
	}
}

// limitRangerAnnotation is where the API server notes what a LimitRange of the
// namespace gave to which container: "LimitRanger plugin set: cpu, memory
// request for container test; cpu limit for container test".
const limitRangerAnnotation = "kubernetes.io/limit-ranger"

// dropNamespaceDefaults makes way for a class where a container has of a
// resource no more than the namespace's defaults, which are set before any
// webhook is asked.
func (r *reading) dropNamespaceDefaults(container *corev1.Container, class corev1.ResourceRequirements) {
	note, _ := strings.CutPrefix(r.pod.Annotations[limitRangerAnnotation], "LimitRanger plugin set: ")
	if note == "" {
		return
	}
	requests, limits := sets.New[corev1.ResourceName](), sets.New[corev1.ResourceName]()
	for part := range strings.SplitSeq(note, "; ") {
		for suffix, set := range map[string]sets.Set[corev1.ResourceName]{" request for container ": requests, " limit for container ": limits} {
			names, found := strings.CutSuffix(part, suffix+container.Name)
			if !found {
				continue
			}
			for name := range strings.SplitSeq(names, ", ") {
				set.Insert(corev1.ResourceName(name))
			}
		}
	}
	resources := &container.Resources
	for name := range sets.KeySet(class.Requests).Union(sets.KeySet(class.Limits)) {
		_, requested := resources.Requests[name]
		_, limited := resources.Limits[name]
		if requested && !requests.Has(name) || limited && !limits.Has(name) {
			continue
		}
		delete(resources.Requests, name)
		delete(resources.Limits, name)
	}
}

// addResources adds requests and limits of resources of which there is neither:
// half of the class' with half of the pod's could ask for more than the limit.
func addResources(target *corev1.ResourceRequirements, class corev1.ResourceRequirements) {
	own := sets.KeySet(target.Requests).Union(sets.KeySet(target.Limits))
	target.Requests = addQuantities(target.Requests, class.Requests, own)
	target.Limits = addQuantities(target.Limits, class.Limits, own)
}

func addQuantities(target, class corev1.ResourceList, own sets.Set[corev1.ResourceName]) corev1.ResourceList {
	for name, quantity := range class {
		if own.Has(name) {
			continue
		}
		if target == nil {
			target = corev1.ResourceList{}
		}
		target[name] = quantity.DeepCopy()
	}
	return target
}

func (c ResourceClass) validate(path *field.Path) field.ErrorList {
	errs := validateResources(path.Child("resources"), c.Resources)
	if c.PodResource != nil {
		at := path.Child("podResource")
		errs = append(errs, validateResources(at, *c.PodResource)...)
		errs = append(errs, validatePodResources(at.Child("requests"), c.PodResource.Requests)...)
		errs = append(errs, validatePodResources(at.Child("limits"), c.PodResource.Limits)...)
	}
	return append(errs, validateLabels(path.Child("nodeSelector"), c.NodeSelector)...)
}

// validatePodResources refuses what only a container can have.
func validatePodResources(path *field.Path, list corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			errs = append(errs, field.Invalid(path.Key(string(name)), name, "a pod as a whole has cpu, memory and huge pages; move it to resources"))
		}
	}
	return errs
}

// validateResources checks what does not depend on a cluster.
func validateResources(path *field.Path, resources corev1.ResourceRequirements) field.ErrorList {
	var errs field.ErrorList
	if len(resources.Claims) > 0 {
		errs = append(errs, field.Forbidden(path.Child("claims"), "claims are the pod's; remove the field"))
	}
	errs = append(errs, validateQuantities(path.Child("requests"), resources.Requests)...)
	errs = append(errs, validateQuantities(path.Child("limits"), resources.Limits)...)
	for _, name := range slices.Sorted(maps.Keys(resources.Requests)) {
		request := resources.Requests[name]
		if limit, limited := resources.Limits[name]; limited && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), request.String(), "more than the limit, "+limit.String()))
		}
	}
	return errs
}

func validateQuantities(path *field.Path, list corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if quantity := list[name]; quantity.Sign() < 0 {
			errs = append(errs, field.Invalid(path.Key(string(name)), quantity.String(), "want zero or more"))
		}
	}
	return errs
}

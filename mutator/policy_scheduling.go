package mutator

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// scheduling is about where a pod runs and whom it displaces.
func (i *inspection) scheduling() {
	spec := &i.pod.Spec
	if spec.NodeName != "" && !i.policy.NodeName {
		i.add("nodeName", spec.NodeName, specPath.Child("nodeName"),
			"the platform's policy leaves the choice of a node to the scheduler; use nodeSelector, or ask your platform team")
	}
	selector := i.policy.NodeSelector.or(everything)
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if objection := selector.objection(key); objection != "" {
			i.add("nodeSelector", key+"="+spec.NodeSelector[key], specPath.Child("nodeSelector").Key(key), objection)
		}
	}
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil {
		i.nodeAffinity(spec.Affinity.NodeAffinity, specPath.Child("affinity", "nodeAffinity"))
	}
	i.tolerations()
	if spec.SchedulerName != "" && spec.SchedulerName != corev1.DefaultSchedulerName {
		i.listed("schedulerNames", i.policy.SchedulerNames.or(everything), spec.SchedulerName, specPath.Child("schedulerName"))
	}
	if spec.PriorityClassName != "" {
		i.listed("priorityClasses", i.policy.PriorityClasses.or(defaultPriorityClasses), spec.PriorityClassName, specPath.Child("priorityClassName"))
	}
	if class := ptr.Deref(spec.RuntimeClassName, ""); class != "" {
		i.listed("runtimeClasses", i.policy.RuntimeClasses.or(everything), class, specPath.Child("runtimeClassName"))
	}
}

func (i *inspection) nodeAffinity(affinity *corev1.NodeAffinity, path *field.Path) {
	list := i.policy.NodeAffinity.or(everything)
	check := func(term corev1.NodeSelectorTerm, path *field.Path) {
		for _, requirements := range []struct {
			name string
			list []corev1.NodeSelectorRequirement
		}{{"matchExpressions", term.MatchExpressions}, {"matchFields", term.MatchFields}} {
			for index, requirement := range requirements.list {
				if objection := list.objection(requirement.Key); objection != "" {
					i.add("nodeAffinity", fmt.Sprint(requirement), path.Child(requirements.name).Index(index).Child("key"), objection)
				}
			}
		}
	}
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		at := path.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
		for index, term := range required.NodeSelectorTerms {
			check(term, at.Index(index))
		}
	}
	for index, preferred := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		check(preferred.Preference, path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(index).Child("preference"))
	}
}

// tolerations leaves those alone that Kubernetes gives to every pod, before it
// calls webhooks.
func (i *inspection) tolerations() {
	list := i.policy.Tolerations.or(defaultTolerations)
	if list.permitsAll() {
		return
	}
	for index, toleration := range i.pod.Spec.Tolerations {
		path := specPath.Child("tolerations").Index(index)
		// Every pod gets these two, for as long as the node may be away.
		isDefault := toleration.Effect == corev1.TaintEffectNoExecute && toleration.TolerationSeconds != nil &&
			(toleration.Key == corev1.TaintNodeNotReady || toleration.Key == corev1.TaintNodeUnreachable)
		switch objection := list.objection(toleration.Key); {
		case isDefault:
		case toleration.Key == "":
			i.add("tolerations", toleration.String(), path,
				"without a key it is of every taint, and the platform's policy does not allow all; name a key, or ask your platform team")
		case objection != "":
			i.add("tolerations", toleration.String(), path.Child("key"), objection)
		}
	}
}

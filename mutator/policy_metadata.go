package mutator

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// ownDomain is that of the contract's names.
const ownDomain = "buildkite.com"

// controllersKeys are labels and annotations that Kubernetes' controllers and
// kubectl write, and those of the dispatcher for autoscalers: an author did not
// choose them. A list of what is denied may name them nevertheless.
var controllersKeys = []string{
	"controller-uid", "job-name", "batch.kubernetes.io/*", "kubectl.kubernetes.io/*",
	"cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/do-not-disrupt",
}

// metadata is about what others make of the pod.
func (i *inspection) metadata() {
	i.keys("labels", i.policy.Labels.or(everything), i.pod.Labels, labelsPath)
	i.keys("annotations", i.policy.Annotations.or(everything), i.pod.Annotations, annotationsPath)
	finalizers := i.policy.Finalizers.or(defaultFinalizers)
	for index, finalizer := range i.pod.Finalizers {
		i.listed("finalizers", finalizers, finalizer, field.NewPath("metadata", "finalizers").Index(index))
	}
	gates := i.policy.SchedulingGates.or(everything)
	for index, gate := range i.pod.Spec.SchedulingGates {
		if gate.Name != contract.Gate {
			i.listed("schedulingGates", gates, gate.Name, specPath.Child("schedulingGates").Index(index).Child("name"))
		}
	}
}

func (i *inspection) keys(rule string, list PolicyList, values map[string]string, path *field.Path) {
	if list.permitsAll() {
		return
	}
	named := list.Allow
	list.Allow = slices.Concat(named, controllersKeys)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if isOwn(key) || list.objection(key) == "" {
			continue
		}
		// The refusal names what the platform's team wrote.
		objection := PolicyList{Allow: named, Deny: list.Deny}.objection(key)
		i.add(rule, key+"="+values[key], path.Key(key), objection)
	}
}

// isOwn reports whether a key is the contract's.
func isOwn(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && (domain == ownDomain || strings.HasSuffix(domain, "."+ownDomain))
}

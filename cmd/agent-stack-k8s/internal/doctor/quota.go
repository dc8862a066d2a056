package doctor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
)

// checkQuotas says for how many more pods each namespace's quotas have room: pods
// that ask for no more than what is injected.
func (d *doctor) checkQuotas(ctx context.Context) {
	for _, namespace := range d.namespaces {
		pod := d.admitted[namespace.Name]
		var list corev1.ResourceQuotaList
		err := d.client.Get(ctx, &list, cluster.Core(namespace.Name, "resourcequotas"))
		if err != nil {
			d.at("quota", "Namespace "+namespace.Name).unseen(err)
			continue
		}
		for _, quota := range list.Items {
			d.checkQuota(&quota, pod)
		}
		d.checkPodSecurity(&namespace, pod)
	}
}

func (d *doctor) checkQuota(quota *corev1.ResourceQuota, pod *corev1.Pod) {
	place := d.at("quota", "ResourceQuota "+quota.Namespace+"/"+quota.Name)
	room, scarce := math.MaxInt, ""
	for name, hard := range quota.Status.Hard {
		used := quota.Status.Used[name]
		need := needOf(pod, name)
		if need.Sign() <= 0 {
			continue
		}
		left := hard.DeepCopy()
		left.Sub(used)
		fits := int(math.Floor(left.AsApproximateFloat64() / need.AsApproximateFloat64()))
		if fits < room || fits == room && string(name) < scarce {
			room, scarce = fits, string(name)
		}
	}
	if scarce == "" {
		place.okf("limits nothing that a pod of a job needs")
		return
	}
	hard, used := quota.Status.Hard[corev1.ResourceName(scarce)], quota.Status.Used[corev1.ResourceName(scarce)]
	state := fmt.Sprintf("%s: %s of %s are used", scarce, used.String(), hard.String())
	switch {
	case room <= 0:
		place.failf(fmt.Sprintf("Wait for jobs to end, or raise it: kubectl -n %s edit resourcequota %s", quota.Namespace, quota.Name),
			"has no room for another pod, even for one that asks for nothing itself (%s)", state)
	case room < 5:
		place.warnf(fmt.Sprintf("Raise it, or lower max-in-flight: kubectl -n %s edit resourcequota %s", quota.Namespace, quota.Name),
			"has room for %d more pods only (%s)", room, state)
	default:
		place.okf("has room for %d more pods that ask for nothing themselves (%s)", room, state)
	}
}

// needOf is what one pod takes of a quota's resource. Without a pod it is known
// for pods only.
func needOf(pod *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	if name == corev1.ResourcePods || name == "count/pods" {
		return resource.MustParse("1")
	}
	if pod == nil {
		return resource.Quantity{}
	}
	var total resource.Quantity
	list := func(c corev1.Container) corev1.ResourceList {
		if strings.HasPrefix(string(name), "limits.") {
			return c.Resources.Limits
		}
		return c.Resources.Requests
	}
	bare := corev1.ResourceName(strings.TrimPrefix(strings.TrimPrefix(string(name), "requests."), "limits."))
	for _, container := range pod.Spec.Containers {
		total.Add(list(container)[bare])
	}
	for _, container := range pod.Spec.InitContainers {
		if quantity := list(container)[bare]; quantity.Cmp(total) > 0 && container.RestartPolicy == nil {
			total = quantity.DeepCopy()
		}
	}
	return total
}

const podSecurityLabel = "pod-security.kubernetes.io/enforce"

// checkPodSecurity compares the namespace's level with what the mutator gives
// its pods.
func (d *doctor) checkPodSecurity(namespace *corev1.Namespace, pod *corev1.Pod) {
	place := d.at("pod-security", "Namespace "+namespace.Name)
	level := namespace.Labels[podSecurityLabel]
	switch {
	case level == "" || level == "privileged":
		place.warnf("kubectl label --overwrite namespace "+namespace.Name+" "+podSecurityLabel+"=baseline, if no job needs more.",
			"enforces no Pod Security standard: what a pipeline's author writes can take over the node")
	case pod != nil:
		place.okf("enforces %s, and a plain pod of a job meets it", level)
	case slices.Contains([]string{"baseline", "restricted"}, level):
		place.unknownf("See the result for admission.", "enforces %s; whether pods of jobs meet it is not known, as none was admitted", level)
	default:
		place.failf("kubectl label --overwrite namespace "+namespace.Name+" "+podSecurityLabel+"=baseline", "has the level %q, which is none", level)
	}
}

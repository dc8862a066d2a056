package mutator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// finding is something in a pod that the policy does not allow.
type finding struct {
	// rule and value identify it: the same from the platform's own settings is no
	// fault of the author's.
	rule, value string
	err         *field.Error
}

// inspection collects the findings about a pod and its plugin fields.
type inspection struct {
	policy Policy
	config Config
	pod    *corev1.Pod
	plugin plugin
	// platforms says that the pod has only what the platform's settings put
	// there. What it leaves out an author leaves out too, and answers for.
	platforms bool
	// containers are the author's.
	containers []placed
	findings   []finding
}

// checkPolicy refuses what the policy does not allow. It sees the pod after all
// merges and before anything is injected.
func (r *reading) checkPolicy() {
	if _, dispatched := r.pod.Labels[contract.ControllerIDLabel]; dispatched && r.config.ProhibitKubernetesPlugin {
		if _, set := r.pod.Annotations[contract.PluginAnnotation]; set {
			r.refuse(field.Forbidden(pluginPath, "the kubernetes plugin is switched off here; remove it from the step, or ask your platform team"))
		}
	}
	for _, one := range r.exempt(r.inspect(r.pod, r.plugin, false)) {
		r.refuse(one.err)
	}
}

// exempt leaves out what the platform's own settings put into every pod with
// containers of these names and this resource class: no author asked for it.
func (r *reading) exempt(findings []finding) []finding {
	if len(findings) == 0 {
		return nil
	}
	pod := r.platformPod()
	if pod.Spec.ActiveDeadlineSeconds == nil {
		pod.Spec.ActiveDeadlineSeconds = r.config.deadline()
	}
	defaults := r.config.pluginDefaults()
	exempt := map[finding]bool{}
	for _, one := range r.inspect(pod, defaults, true) {
		one.err = nil
		exempt[one] = true
	}
	return slices.DeleteFunc(findings, func(one finding) bool {
		return exempt[finding{rule: one.rule, value: one.value}]
	})
}

// inspect compares a pod with the policy.
func (r *reading) inspect(pod *corev1.Pod, plugin plugin, platforms bool) []finding {
	i := &inspection{policy: r.config.Policy, config: r.config, pod: pod, plugin: plugin, platforms: platforms, containers: authors(pod, plugin)}
	i.identity()
	i.hostAccess()
	i.podContext()
	for _, container := range i.containers {
		i.container(container)
	}
	i.scheduling()
	i.images()
	i.volumes()
	i.secrets()
	i.metadata()
	i.durations()
	return i.findings
}

func (i *inspection) add(rule, value string, path *field.Path, sentence string) {
	i.findings = append(i.findings, finding{rule: rule, value: value, err: field.Forbidden(path, sentence)})
}

// listed adds a finding if the list does not permit the value.
func (i *inspection) listed(rule string, list PolicyList, value string, path *field.Path) {
	if objection := list.objection(value); objection != "" {
		i.add(rule, value, path, objection)
	}
}

// askPlatform ends the refusals of what a policy switches off.
const askPlatform = "the platform's policy does not allow it; remove it, or ask your platform team"

// placed is a container and where its author wrote it.
type placed struct {
	*corev1.Container

	path *field.Path
}

// authors returns all containers of the author's.
func authors(pod *corev1.Pod, plugin plugin) []placed {
	var all []placed
	for i := range pod.Spec.InitContainers {
		all = append(all, placed{&pod.Spec.InitContainers[i], initContainersPath.Index(i)})
	}
	for i := range pod.Spec.Containers {
		all = append(all, placed{&pod.Spec.Containers[i], containersPath.Index(i)})
	}
	for i := range plugin.Sidecars {
		all = append(all, placed{&plugin.Sidecars[i], pluginPath.Child("sidecars").Index(i)})
	}
	// A pod is not created with these, but a file may have them.
	for i := range pod.Spec.EphemeralContainers {
		container := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		all = append(all, placed{&container, specPath.Child("ephemeralContainers").Index(i)})
	}
	return all
}

// identity is about who the pod is to the cluster.
func (i *inspection) identity() {
	spec := &i.pod.Spec
	list := i.policy.ServiceAccounts.or(defaultServiceAccounts)
	if !list.permitsAll() {
		name := spec.ServiceAccountName
		if name == "" {
			name = spec.DeprecatedServiceAccount
		}
		if name == "" && !i.platforms {
			name = "default"
		}
		if name != "" {
			i.listed("serviceAccounts", list, name, specPath.Child("serviceAccountName"))
		}
	}
	if ptr.Deref(i.policy.ServiceAccountTokens, true) {
		return
	}
	const advice = "the platform's policy allows no token of the service account; "
	if ptr.Deref(spec.AutomountServiceAccountToken, !i.platforms) {
		i.add("serviceAccountTokens", "automount", specPath.Child("automountServiceAccountToken"), advice+"set it to false, or ask your platform team")
	}
	for index, volume := range spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for at, source := range volume.Projected.Sources {
			if source.ServiceAccountToken != nil && !isAutomounted(volume, spec.AutomountServiceAccountToken) {
				i.add("serviceAccountTokens", volume.Name, volumesPath.Index(index).Child("projected", "sources").Index(at).Child("serviceAccountToken"), advice+"remove it, or ask your platform team")
			}
		}
	}
}

// isAutomounted reports whether Kubernetes itself made the volume, which is then
// not a second fault.
func isAutomounted(volume corev1.Volume, automount *bool) bool {
	const prefix = "kube-api-access-"
	return ptr.Deref(automount, true) && strings.HasPrefix(volume.Name, prefix)
}

// durations bounds how long a pod may live.
func (i *inspection) durations() {
	// The merge has put the plugin's into the pod.
	path := specPath.Child("activeDeadlineSeconds")
	if i.plugin.JobActiveDeadlineSeconds != nil {
		path = pluginPath.Child("jobActiveDeadlineSeconds")
	}
	i.bounded("maxActiveDeadlineSeconds", i.policy.MaxActiveDeadlineSeconds, i.pod.Spec.ActiveDeadlineSeconds, path)
	i.bounded("maxTerminationGracePeriodSeconds", i.policy.MaxTerminationGracePeriodSeconds, i.pod.Spec.TerminationGracePeriodSeconds, specPath.Child("terminationGracePeriodSeconds"))
}

// bounded adds a finding if an author asks for more than the policy's bound.
func (i *inspection) bounded(rule string, bound, value *int64, path *field.Path) {
	if bound != nil && value != nil && *value > *bound {
		i.add(rule, strconv.FormatInt(*value, 10), path,
			fmt.Sprintf("the platform's policy allows at most %d, not %d; lower it, or ask your platform team", *bound, *value))
	}
}

package mutator

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var (
	platformPatchPath = field.NewPath("podSpecPatch")
	authorPatchPath   = pluginPath.Child("podSpecPatch")
)

// merge joins what the platform, the resource class, the step and the plugin
// say into the pod. Each wins over those before it, but for default metadata,
// which lose to the pod's. The job containers are those that the pod came with:
// a patch changes them and does not add any.
func (r *reading) merge() {
	r.jobContainers = r.jobContainerIndexes()
	r.bare = barePod(r.pod)
	platform, errs := parseSpecPatch(r.config.PodSpecPatch, platformPatchPath, platformRules)
	r.errs = append(r.errs, errs...)
	author, errs := parseSpecPatch(r.plugin.PodSpecPatch, authorPatchPath, authorRules)
	r.errs = append(r.errs, errs...)

	before := r.pod.Spec
	r.mergePlatform(platform)
	r.setImage()
	r.mergeAuthorPatch(author)
	dropDerived(&before, &r.pod.Spec)
	r.mergeInjected(platform, author)
	r.setDeadline()
}

// mergePlatform is the platform's part of merge.
func (r *reading) mergePlatform(patch specPatch) {
	r.mergeMetadata()
	r.mergeResourceClass()
	r.mergePlatformPatch(patch)
}

// platformPod returns what the platform's settings alone make of a pod with
// containers and volumes of the same names: what is there, no author asked for.
func (r *reading) platformPod() *corev1.Pod {
	alone := &reading{config: r.config, pod: r.bare.DeepCopy(), jobContainers: r.jobContainers}
	patch, errs := parseSpecPatch(r.config.PodSpecPatch, platformPatchPath, platformRules)
	if len(errs) == 0 {
		alone.mergePlatform(patch)
	}
	return alone.pod
}

// dropDerived removes what the API server derived from fields that have changed
// since. It derives it again after this admission, and would refuse the old.
func dropDerived(before, after *corev1.PodSpec) {
	if after.PriorityClassName != before.PriorityClassName {
		drop(before.Priority, &after.Priority)
		drop(before.PreemptionPolicy, &after.PreemptionPolicy)
	}
	if !ptr.Equal(after.RuntimeClassName, before.RuntimeClassName) && equality.Semantic.DeepEqual(before.Overhead, after.Overhead) {
		after.Overhead = nil
	}
	if after.ServiceAccountName != before.ServiceAccountName {
		// An old name for the same field, which fills in for it.
		after.DeprecatedServiceAccount = after.ServiceAccountName
	}
}

// drop unsets a field that still has its value.
func drop[T comparable](before *T, after **T) {
	if ptr.Equal(before, *after) {
		*after = nil
	}
}

// barePod returns a pod with the names of all that a merge finds by name, and
// with the choice of its resource class.
func barePod(pod *corev1.Pod) *corev1.Pod {
	bare := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace}}
	if class, set := pod.Annotations[contract.ResourceClassAnnotation]; set {
		bare.Annotations = map[string]string{contract.ResourceClassAnnotation: class}
	}
	for _, container := range pod.Spec.Containers {
		bare.Spec.Containers = append(bare.Spec.Containers, corev1.Container{Name: container.Name})
	}
	for _, container := range pod.Spec.InitContainers {
		bare.Spec.InitContainers = append(bare.Spec.InitContainers, corev1.Container{Name: container.Name})
	}
	for _, volume := range pod.Spec.Volumes {
		bare.Spec.Volumes = append(bare.Spec.Volumes, corev1.Volume{Name: volume.Name})
	}
	return bare
}

func (r *reading) mergeMetadata() {
	r.pod.Labels = withDefaults(r.pod.Labels, r.config.DefaultMetadata.Labels)
	r.pod.Annotations = withDefaults(r.pod.Annotations, r.config.DefaultMetadata.Annotations)
}

func withDefaults(own, defaults map[string]string) map[string]string {
	if len(defaults) == 0 {
		return own
	}
	merged := maps.Clone(defaults)
	maps.Copy(merged, own)
	return merged
}

// mergePlatformPatch leaves out containers that the pod does not have, unless
// the patch is enough to add them: not every pod has all that it is about.
func (r *reading) mergePlatformPatch(patch specPatch) {
	tree := maps.Clone(patch.pod)
	for _, list := range containerListNames {
		names := r.namesIn(list)
		elements, isList := tree[list].([]any)
		if !isList {
			continue
		}
		var kept []any
		for _, element := range elements {
			container, _ := element.(map[string]any)
			if hasImage(container) || slices.Contains(names, nameIn(container)) {
				kept = append(kept, element)
			}
		}
		tree[list] = kept
	}
	r.errs = append(r.errs, mergeInto(&r.pod.Spec, tree, podSpecSchema(), specPath)...)
}

// mergeAuthorPatch refuses a patch of a container that is not there, most
// probably a typing error, and says what a container is that it adds.
func (r *reading) mergeAuthorPatch(patch specPatch) {
	before := len(r.errs)
	for _, list := range containerListNames {
		names := r.namesIn(list)
		elements, _ := patch.pod[list].([]any)
		for i, element := range elements {
			container, _ := element.(map[string]any)
			path := authorPatchPath.Child(list).Key(nameIn(container))
			switch {
			case slices.Contains(names, nameIn(container)):
			case !hasImage(container):
				r.refuse(field.Invalid(authorPatchPath.Child(list).Index(i).Child("name"), nameIn(container),
					"no such container; "+haveNames(names)+"; set image, too, to add one"))
			case list == "containers":
				r.warn(path, "added beside the job containers: it does not run the job, and the pod ends only when it does")
			}
		}
	}
	if len(r.errs) == before {
		r.errs = append(r.errs, mergeInto(&r.pod.Spec, patch.pod, podSpecSchema(), specPath)...)
	}
}

// containerListNames are the fields of a spec that hold containers.
var containerListNames = []string{"containers", "initContainers"}

// namesIn returns the names in a list of containers.
func (r *reading) namesIn(list string) []string {
	if list == "containers" {
		return r.containerNames()
	}
	names := make([]string, len(r.pod.Spec.InitContainers))
	for i, container := range r.pod.Spec.InitContainers {
		names[i] = container.Name
	}
	return names
}

func haveNames(names []string) string {
	if len(names) == 0 {
		return "there are none"
	}
	return "have " + quotedList(names)
}

func nameIn(container map[string]any) string {
	name, _ := container["name"].(string)
	return name
}

func hasImage(container map[string]any) bool {
	image, _ := container["image"].(string)
	return image != ""
}

// setImage gives the job containers the step's image.
func (r *reading) setImage() {
	image, set := r.pod.Annotations[contract.ImageAnnotation]
	if !set {
		return
	}
	r.errs = append(r.errs, validateImage(annotationsPath.Key(contract.ImageAnnotation), image)...)
	for _, index := range r.jobContainers {
		r.pod.Spec.Containers[index].Image = image
	}
}

// setDeadline limits how long the pod may be active: as the plugin says, else
// the pod, else, if it is for one job, the configuration. A pod that waits for
// jobs has no limit of its own: the job has one in Buildkite.
func (r *reading) setDeadline() {
	given := r.plugin.JobActiveDeadlineSeconds
	_, hasJob := r.pod.Labels[contract.JobUUIDLabel]
	switch {
	case given != nil && (*given <= 0 || *given > maxDeadline):
		r.refuse(field.Invalid(pluginPath.Child("jobActiveDeadlineSeconds"), *given, "want a number of seconds from 1 to 2147483647"))
	case given != nil:
		r.pod.Spec.ActiveDeadlineSeconds = given
	case r.pod.Spec.ActiveDeadlineSeconds == nil && hasJob:
		r.pod.Spec.ActiveDeadlineSeconds = r.config.deadline()
	}
}

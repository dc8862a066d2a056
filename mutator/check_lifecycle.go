package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkJobContainers refuses what would start job containers out of order,
// end them while they wait for their turn, or start them again.
func (r *reading) checkJobContainers() {
	for i, container := range r.pod.Spec.Containers {
		if !slices.Contains(r.plan.jobContainerNames(), container.Name) {
			continue
		}
		path := containersPath.Index(i)
		if container.Lifecycle != nil && container.Lifecycle.PostStart != nil {
			r.refuse(field.Forbidden(path.Child("lifecycle", "postStart"),
				"it would keep the next container of the job from starting; put it at the beginning of the command"))
		}
		if container.LivenessProbe != nil {
			r.refuse(field.Forbidden(path.Child("livenessProbe"),
				"it would end the container while it waits for its turn; remove it, the job's time-out ends a command that hangs"))
		}
		if container.StartupProbe != nil {
			r.refuse(field.Forbidden(path.Child("startupProbe"),
				"it would end the container while it waits for its turn; put a service into the plugin's sidecars, which may have one"))
		}
		if container.RestartPolicy != nil {
			r.refuse(field.Forbidden(path.Child("restartPolicy"), "a job's container runs once; remove it and use the step's retry"))
		}
		if len(container.RestartPolicyRules) > 0 {
			r.refuse(field.Forbidden(path.Child("restartPolicyRules"), "a job's container runs once; remove them and use the step's retry"))
		}
	}
	if os := r.pod.Spec.OS; os != nil && os.Name != corev1.Linux {
		r.refuse(field.NotSupported(specPath.Child("os", "name"), os.Name, []corev1.OSName{corev1.Linux}))
	}
	if shared := r.pod.Spec.ShareProcessNamespace; shared != nil && *shared {
		r.warn(specPath.Child("shareProcessNamespace"), "all containers of this pod can read what the agent can, its token included")
	}
}

// checkRestartPolicy refuses pods that would be started again: Buildkite would
// see a second agent for the same containers, and a job that ran once.
func (r *reading) checkRestartPolicy() {
	path := specPath.Child("restartPolicy")
	owner := metav1.GetControllerOf(r.pod)
	switch policy := r.pod.Spec.RestartPolicy; {
	case policy == corev1.RestartPolicyNever || policy == "":
	case policy == corev1.RestartPolicyAlways && owner == nil && len(r.pod.OwnerReferences) == 0:
		// Kubernetes' default: most people who left it out do not know.
		r.warn(path, "set to Never: a job runs once")
	case policy == corev1.RestartPolicyAlways && owner != nil:
		r.refuse(field.Invalid(path, policy, "a "+owner.Kind+" would start the pod again and again; use a Job or CronJob with Never"))
	case policy == corev1.RestartPolicyAlways:
		r.refuse(field.Invalid(path, policy, "the pod has an owner that would start it again; use a Job or CronJob with Never"))
	default:
		r.refuse(field.Invalid(path, policy, "a job's containers run once; set Never, and backoffLimit if a Job makes the pod"))
	}
}

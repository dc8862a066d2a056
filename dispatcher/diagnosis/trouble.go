package diagnosis

import (
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Causes of troubles with pods. They are metric labels too.
const (
	CauseImageName       = "image-name"
	CauseImageMissing    = "image-missing"
	CauseImageForbidden  = "image-forbidden"
	CauseImageLimit      = "image-pull-limit"
	CauseImagePull       = "image-pull"
	CauseContainerConfig = "container-config"
	CauseContainerCreate = "container-create"
	CauseInitFailed      = "init-container"
	CauseServiceFailed   = "sidecar"
	CauseUnschedulable   = "unschedulable"
	CausePending         = "pending"
	CauseEvicted         = "evicted"
	CausePreempted       = "preempted"
	CauseNodeLost        = "node-lost"
	CauseNodeShutdown    = "node-shutdown"
	CauseNodeRefused     = "node-refused"
	CauseDeadline        = "deadline"
	CauseAgentSilent     = "agent-silent"
)

// maxMessageBytes bounds what is remembered of a message, for each pod.
const maxMessageBytes = 1 << 10

// Trouble is what keeps a pod from running its job, or kept it.
type Trouble struct {
	// Cause is one of the constants.
	Cause string
	// Container is the one in trouble, empty if it is the pod as a whole, and
	// Image is its image.
	Container, Image string
	// Platform is set if it is not the author's doing: a container that the
	// mutator added, or its image.
	Platform bool
	// Permanent is set if waiting does not help.
	Permanent bool
	// Message is what Kubernetes says, on one line or several.
	Message string
	// Since is when it began, as far as the pod tells.
	Since time.Time
}

// TroubleOf returns what is wrong with a pod, the worst first, or nil.
func TroubleOf(pod *corev1.Pod) *Trouble {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	if pod.Status.Phase == corev1.PodFailed {
		return failureOf(pod)
	}
	if trouble := containerTrouble(pod); trouble != nil {
		return trouble
	}
	return waitingTrouble(pod)
}

// containerTrouble looks for a container that cannot start.
func containerTrouble(pod *corev1.Pod) *Trouble {
	var found *Trouble
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		trouble := statusTrouble(pod, status)
		if trouble != nil && (found == nil || trouble.Permanent && !found.Permanent) {
			found = trouble
		}
	}
	return found
}

func statusTrouble(pod *corev1.Pod, status corev1.ContainerStatus) *Trouble {
	waiting := status.State.Waiting
	if waiting == nil {
		return nil
	}
	trouble := &Trouble{
		Container: status.Name,
		Image:     imageOf(pod, status),
		Platform:  isInjected(pod, status),
		Message:   Limit(waiting.Message),
		Since:     readyFor(pod),
	}
	switch waiting.Reason {
	case "InvalidImageName":
		trouble.Cause, trouble.Permanent = CauseImageName, true
	case "ErrImageNeverPull":
		trouble.Cause, trouble.Permanent = CauseImageMissing, true
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		trouble.Cause, trouble.Permanent = imageCause(waiting.Message)
		// An image volume's is named in the message of whoever mounts it.
		trouble.Platform = trouble.Platform || namesInjectedVolume(pod, waiting.Message)
	case "CreateContainerConfigError":
		trouble.Cause, trouble.Permanent = CauseContainerConfig, true
		trouble.Platform = trouble.Platform && !namesAuthorsReference(pod, waiting.Message)
	case "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError":
		trouble.Cause, trouble.Permanent = CauseContainerCreate, true
	case "CrashLoopBackOff":
		// Only services start again.
		trouble.Cause, trouble.Permanent = CauseServiceFailed, true
		trouble.Message = lastEnd(status)
	default:
		return nil
	}
	if reference := authorsImageVolume(pod, waiting.Message); imageCauses[trouble.Cause] && reference != "" && reference != trouble.Image {
		trouble.Image, trouble.Platform = reference, false
	}
	return trouble
}

// waitingTrouble names what a pod without a broken container waits for.
func waitingTrouble(pod *corev1.Pod) *Trouble {
	if HasStarted(pod) {
		return nil
	}
	scheduled := ConditionOf(pod, corev1.PodScheduled)
	switch {
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse && scheduled.Reason == corev1.PodReasonSchedulingGated:
		// A queue such as Kueue's, which may be long.
		return nil
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse:
		return &Trouble{Cause: CauseUnschedulable, Message: Limit(scheduled.Message), Since: scheduled.LastTransitionTime.Time}
	case scheduled == nil:
		return &Trouble{Cause: CausePending, Since: pod.CreationTimestamp.Time}
	default:
		return &Trouble{Cause: CausePending, Since: scheduled.LastTransitionTime.Time}
	}
}

// failureOf tells why a pod as a whole has failed, unless its own containers'
// exit statuses say so.
func failureOf(pod *corev1.Pod) *Trouble {
	trouble := &Trouble{Message: Limit(pod.Status.Message), Since: lastChange(pod)}
	disruption := ConditionOf(pod, corev1.DisruptionTarget)
	switch reason := pod.Status.Reason; {
	case disruption != nil && disruption.Reason == corev1.PodReasonPreemptionByScheduler:
		trouble.Cause, trouble.Platform, trouble.Message = CausePreempted, true, Limit(disruption.Message)
	case disruption != nil && (disruption.Reason == "DeletionByTaintManager" || disruption.Reason == "DeletionByPodGC"), reason == "NodeLost":
		trouble.Cause, trouble.Platform = CauseNodeLost, true
	case reason == "Terminated", reason == "NodeShutdown", disruption != nil && disruption.Reason == corev1.PodReasonTerminationByKubelet && reason != "Evicted":
		trouble.Cause, trouble.Platform = CauseNodeShutdown, true
	case reason == "Evicted":
		trouble.Cause = CauseEvicted
	case reason == "DeadlineExceeded":
		trouble.Cause, trouble.Permanent = CauseDeadline, true
	case reason != "":
		// The kubelet would not have the pod: OutOfcpu, NodeAffinity and more.
		trouble.Cause, trouble.Platform = CauseNodeRefused, true
		trouble.Message = Limit(reason + ": " + pod.Status.Message)
	default:
		return failedInit(pod)
	}
	return trouble
}

// failedInit finds the init container that ended a pod.
func failedInit(pod *corev1.Pod) *Trouble {
	for _, status := range pod.Status.InitContainerStatuses {
		ended := status.State.Terminated
		if ended == nil || ended.ExitCode == 0 || isService(pod, status.Name) {
			continue
		}
		return &Trouble{
			Cause: CauseInitFailed, Container: status.Name, Image: imageOf(pod, status), Platform: isInjected(pod, status), Permanent: true,
			Message: lastEnd(status), Since: ended.FinishedAt.Time,
		}
	}
	return nil
}

// readyFor returns since when nothing but the containers themselves keeps a pod
// from starting: a node has it.
func readyFor(pod *corev1.Pod) time.Time {
	if scheduled := ConditionOf(pod, corev1.PodScheduled); scheduled != nil {
		return scheduled.LastTransitionTime.Time
	}
	return pod.CreationTimestamp.Time
}

// ConditionOf returns a pod's condition of a type, or nil.
func ConditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// isInjected reports whether a container, or its image, is the mutator's. A job
// container without an image runs the agent's.
func isInjected(pod *corev1.Pod, status corev1.ContainerStatus) bool {
	switch status.Name {
	case contract.AgentContainer, contract.CheckoutContainer, contract.InstallContainer:
		return true
	}
	return imageOf(pod, status) == imageNamed(pod, contract.AgentContainer)
}

func isService(pod *corev1.Pod, name string) bool {
	for _, container := range pod.Spec.InitContainers {
		if container.Name == name {
			return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

// imageOf is the image as the pod names it; the status may have a digest.
func imageOf(pod *corev1.Pod, status corev1.ContainerStatus) string {
	if image := imageNamed(pod, status.Name); image != "" {
		return image
	}
	return status.Image
}

func imageNamed(pod *corev1.Pod, name string) string {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if container.Name == name {
			return container.Image
		}
	}
	return ""
}

// missingReference is how the kubelet names a Secret or ConfigMap that a container's
// environment refers to, or a key that it lacks.
var missingReference = regexp.MustCompile(`(?i)(?:secret|configmap) "([^"]+)" not found|couldn't find key \S+ in (?:secret|configmap) [^/\s]+/([^/\s]+)`)

// namesAuthorsReference says whether what an injected container misses is what the
// job's author has it refer to. Else one author could hold the queue up for all.
func namesAuthorsReference(pod *corev1.Pod, message string) bool {
	found := missingReference.FindStringSubmatch(message)
	return found != nil && strings.Contains(pod.Annotations[contract.PluginAnnotation], `"`+found[1]+found[2]+`"`)
}

var imageCauses = map[string]bool{
	CauseImageName: true, CauseImageMissing: true, CauseImageForbidden: true, CauseImageLimit: true, CauseImagePull: true,
}

// authorsImageVolume returns the image of a volume of the author's that a message is
// about; empty if there is none. Whatever container mounts it is the one in trouble, and
// injected ones may. Volumes with our prefix are the platform's.
func authorsImageVolume(pod *corev1.Pod, message string) string {
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil && !strings.HasPrefix(volume.Name, contract.VolumePrefix) && strings.Contains(message, `"`+volume.Image.Reference+`"`) {
			return volume.Image.Reference
		}
	}
	return ""
}

func namesInjectedVolume(pod *corev1.Pod, message string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.Image != nil && volume.Name == contract.BinVolume && strings.Contains(message, volume.Image.Reference)
	})
}

// Limit cuts a message that is too long to be quoted.
func Limit(message string) string {
	message = strings.TrimSpace(message)
	if len(message) <= maxMessageBytes {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessageBytes], "") + " …"
}

package diagnosis

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Sentences of container runtimes and registries. No code tells these apart.
var (
	imageLimit     = regexp.MustCompile(`(?i)toomanyrequests|too many requests|\b429\b|pull rate limit`)
	imageForbidden = regexp.MustCompile(`(?i)unauthorized|authentication required|authorization failed|denied|forbidden|no basic auth|insufficient_scope`)
	imageMissing   = regexp.MustCompile(`(?i)not found|manifest unknown|name unknown|no match for platform|no such image`)
	imageBadName   = regexp.MustCompile(`(?i)invalid reference format|couldn't parse image|failed to parse image`)
)

// imageCause reads why an image could not be pulled, and whether it never will
// be. A registry that asks for a login may be one that hides what it does not
// have; both want the author's eye.
func imageCause(message string) (cause string, permanent bool) {
	switch {
	case imageLimit.MatchString(message):
		return CauseImageLimit, false
	case imageBadName.MatchString(message):
		return CauseImageName, true
	case imageMissing.MatchString(message):
		return CauseImageMissing, true
	case imageForbidden.MatchString(message):
		return CauseImageForbidden, true
	default:
		// The registry did not answer, or answered with a fault of its own.
		return CauseImagePull, false
	}
}

// lastEnd says how a container ended.
func lastEnd(status corev1.ContainerStatus) string {
	ended := status.State.Terminated
	if ended == nil {
		ended = status.LastTerminationState.Terminated
	}
	if ended == nil {
		return ""
	}
	text := fmt.Sprintf("container %s ended with exit status %d", status.Name, ended.ExitCode)
	if ended.Reason != "" && ended.Reason != "Error" && ended.Reason != "Completed" {
		text += " (" + ended.Reason + ")"
	}
	if ended.Message != "" {
		text += ": " + strings.TrimSpace(ended.Message)
	}
	return Limit(text)
}

// Advices are what to do about each cause. The first argument is the container, the
// second its image.
var Advices = map[string]string{
	CauseImageName:       "Correct the image of container %[1]s: %[2]q is not the name of an image.",
	CauseImageMissing:    "Correct the image of container %[1]s, or push it: there is no %[2]q for the platform of the cluster's nodes.",
	CauseImageForbidden:  "Check the image of container %[1]s: the registry does not let the cluster pull %[2]q. Either the name is wrong, or the pod needs imagePullSecrets.",
	CauseImageLimit:      "Retry the job later, or use a mirror: the registry limits how often the cluster may pull, and refuses %[2]q of container %[1]s.",
	CauseImagePull:       "Retry the job: the image %[2]q of container %[1]s could not be pulled in time.",
	CauseContainerConfig: "Correct what container %[1]s refers to, such as a Secret or a ConfigMap: it cannot be set up.",
	CauseContainerCreate: "Correct container %[1]s: the cluster's container runtime cannot start it.",
	CauseInitFailed:      "Correct the init container %[1]s: it failed, and the job's containers start only after it.",
	CauseServiceFailed:   "Correct the sidecar %[1]s: it ends again and again, and the job's containers start only once it runs.",
	CauseUnschedulable:   "Change what the pod asks for, or ask for more nodes: no node could take the pod in time.",
	CausePending:         "Ask the cluster's operators: the pod's containers did not start in time.",
	CauseEvicted:         "Retry the job, and ask for the memory or ephemeral-storage that it needs: its node was short of it and ended the pod.",
	CausePreempted:       "Retry the job: a pod of higher priority took its place.",
	CauseNodeLost:        "Retry the job: the node that its pod was on is gone.",
	CauseNodeShutdown:    "Retry the job: the node that its pod was on was shut down.",
	CauseNodeRefused:     "Retry the job: the node that was chosen for its pod would not take it.",
	CauseDeadline:        "Raise jobActiveDeadlineSeconds: the pod was older than it allows before the job began.",
	CauseAgentSilent:     "Ask the cluster's operators: the pod's agent started, but did not take the job in time.",
}

// LossAdvices are the same for jobs that had begun.
var LossAdvices = map[string]string{
	CauseOutOfMemory:  "Raise the memory limit of container %[1]s, or have it use less: it used more memory than it may and was ended.",
	CauseDeleted:      "Retry the job: somebody deleted its pod while it ran.",
	CauseDrained:      "Retry the job: its pod was evicted while it ran, as when a node is drained.",
	CauseEvicted:      "Retry the job, and ask for the memory or ephemeral-storage that it needs: its node was short of it and ended the pod.",
	CausePreempted:    "Retry the job: a pod of higher priority took its place.",
	CauseNodeLost:     "Retry the job: the node that its pod ran on is gone.",
	CauseNodeShutdown: "Retry the job: the node that its pod ran on was shut down.",
	CauseNodeRefused:  "Retry the job: its node ended the pod.",
	CauseDeadline:     "Raise jobActiveDeadlineSeconds, or make the job shorter: the pod was older than it allows.",
}

// Advice tells the pipeline's author what to do about a job that never began.
func (t *Trouble) Advice() string {
	return t.fill(Advices[t.Cause])
}

// LossAdvice does so for a job that had begun.
func (t *Trouble) LossAdvice() string {
	return t.fill(LossAdvices[t.Cause])
}

func (t *Trouble) fill(pattern string) string {
	if !strings.Contains(pattern, "%[") {
		return pattern
	}
	return fmt.Sprintf(pattern, t.Container, t.Image)
}

package mutator

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	defaultIdleTimeout = 10 * time.Minute
	// defaultGrace is Kubernetes' own terminationGracePeriodSeconds.
	defaultGrace = 30
)

// readSettings reads what concerns the pod as a whole: configuration,
// overridden by annotations.
func (r *reading) readSettings() {
	config, plan := r.config, &r.plan
	plan.AgentImage = r.override(contract.AgentImageAnnotation, config.AgentImage, validateImage)
	plan.AgentImagePullPolicy = config.AgentImagePullPolicy
	plan.AgentBinary = config.AgentBinary
	plan.AgentTokenSecret = r.override(contract.AgentTokenSecretAnnotation, config.AgentTokenSecret, validateSecretName)
	plan.AgentEndpoint = config.AgentEndpoint
	plan.Delivery = config.Delivery
	plan.EntrypointImage = config.EntrypointImage
	plan.EntrypointImagePullPolicy = config.EntrypointImagePullPolicy
	plan.GraceSeconds = ptr.Deref(r.pod.Spec.TerminationGracePeriodSeconds, defaultGrace)
	if !r.hasVolume(contract.WorkspaceVolume) {
		plan.WorkspaceVolume = config.workspace()
	}
	r.readJob()
	plan.AgentTags = r.agentTags()
}

// readJob reads which job the pod runs, and how it ends.
func (r *reading) readJob() {
	uuid := r.pod.Labels[contract.JobUUIDLabel]
	if _, set := r.pod.Labels[contract.JobUUIDLabel]; set && uuid == "" {
		r.refuse(field.Invalid(labelsPath.Key(contract.JobUUIDLabel), uuid,
			"want the UUID of a job; to take the next job of the queue remove the label"))
	}
	r.plan.JobUUID = uuid
	r.plan.ExitStatus = r.exitStatus()
	idle := r.idleTimeout()
	if uuid == "" {
		r.plan.IdleSeconds = int64(idle / time.Second)
		r.plan.IgnoreJobPodSpec = r.boolean(contract.IgnoreJobPodSpecAnnotation)
		return
	}
	for _, name := range []string{contract.IdleTimeoutAnnotation, contract.IgnoreJobPodSpecAnnotation} {
		if _, set := r.pod.Annotations[name]; set {
			r.warn(annotationsPath.Key(name), "has no effect on a pod with the label "+contract.JobUUIDLabel)
		}
	}
}

func (r *reading) exitStatus() string {
	value, set := r.pod.Annotations[contract.ExitStatusAnnotation]
	choices := []string{contract.ExitStatusReflect, contract.ExitStatusRunner}
	switch {
	case set && !slices.Contains(choices, value):
		r.refuse(field.NotSupported(annotationsPath.Key(contract.ExitStatusAnnotation), value, choices))
		return ""
	case set:
		return value
	case r.plan.JobUUID != "":
		return contract.ExitStatusReflect
	default:
		return contract.ExitStatusRunner
	}
}

func (r *reading) idleTimeout() time.Duration {
	text, set := r.pod.Annotations[contract.IdleTimeoutAnnotation]
	if !set {
		return defaultIdleTimeout
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout < time.Second {
		r.refuse(field.Invalid(annotationsPath.Key(contract.IdleTimeoutAnnotation), text, "want a duration of a second or more, such as 90s or 10m"))
		return 0
	}
	return timeout
}

func (r *reading) boolean(annotation string) bool {
	text, set := r.pod.Annotations[annotation]
	value, err := strconv.ParseBool(text)
	if set && err != nil {
		r.refuse(field.NotSupported(annotationsPath.Key(annotation), text, []string{"true", "false"}))
	}
	return value
}

// agentTags returns the tags of the annotation, or else those of the tag
// labels, so that a pod with queue=x in its labels works as it looks.
func (r *reading) agentTags() string {
	if text, set := r.pod.Annotations[contract.AgentTagsAnnotation]; set {
		var tags []string
		for tag := range strings.SplitSeq(text, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
		return strings.Join(tags, ",")
	}
	var tags []string
	for _, label := range slices.Sorted(maps.Keys(r.pod.Labels)) {
		if key, isTag := strings.CutPrefix(label, contract.TagLabelPrefix); isTag {
			tags = append(tags, key+"="+r.pod.Labels[label])
		}
	}
	return strings.Join(tags, ",")
}

// override returns an annotation's value if it is there, else the default.
func (r *reading) override(annotation, value string, validate func(*field.Path, string) field.ErrorList) string {
	text, set := r.pod.Annotations[annotation]
	if !set {
		return value
	}
	r.errs = append(r.errs, validate(annotationsPath.Key(annotation), text)...)
	return text
}

func (r *reading) hasVolume(name string) bool {
	return slices.ContainsFunc(r.pod.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == name })
}

func (c Config) workspace() *corev1.VolumeSource {
	if c.WorkspaceVolume != nil {
		return c.WorkspaceVolume
	}
	return &corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
}

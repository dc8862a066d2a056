package mutator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var (
	specPath           = field.NewPath("spec")
	containersPath     = specPath.Child("containers")
	initContainersPath = specPath.Child("initContainers")
	volumesPath        = specPath.Child("volumes")
)

// nameContainers gives containers without a name the one of their index.
func nameContainers(pod *corev1.Pod) {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == "" {
			pod.Spec.Containers[i].Name = contract.JobContainerNamePrefix + strconv.Itoa(i)
		}
	}
}

// readJobContainers finds the job containers and plans each.
func (r *reading) readJobContainers() {
	for _, index := range r.jobContainers {
		id := len(r.plan.Containers)
		if !r.plugin.Checkout.Skip {
			id++
		}
		r.plan.Containers = append(r.plan.Containers, r.planContainer(index, id))
	}
}

// jobContainerIndexes returns the places of the job containers in the pod, in
// the order in which they run.
func (r *reading) jobContainerIndexes() []int {
	list, given := r.pod.Annotations[contract.JobContainersAnnotation]
	if !given {
		return r.defaultJobContainers()
	}
	path := annotationsPath.Key(contract.JobContainersAnnotation)
	names := r.containerNames()
	var indexes []int
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		index := slices.Index(names, name)
		switch {
		case name == "":
			r.refuse(field.Invalid(path, list, "want names of containers with commas between them"))
		case index < 0:
			r.refuse(field.Invalid(path, name, "no such container; have "+quotedList(names)))
		case slices.Contains(indexes, index):
			r.refuse(field.Duplicate(path, name))
		default:
			indexes = append(indexes, index)
		}
	}
	return indexes
}

// defaultJobContainers takes all containers that the pod has now, less known
// sidecars, and says so: what other webhooks add later is not the job's.
func (r *reading) defaultJobContainers() []int {
	var indexes []int
	var wrapped, skipped []string
	for i, name := range r.containerNames() {
		if slices.Contains(r.config.sidecarNames(), name) {
			skipped = append(skipped, name)
			continue
		}
		indexes = append(indexes, i)
		wrapped = append(wrapped, name)
	}
	if len(indexes) == 0 {
		r.refuse(field.Required(containersPath, "a job pod needs a container to run the job in"))
		return nil
	}
	sentence := "not set: running " + quotedList(wrapped) + " as job containers, in this order"
	if len(skipped) > 0 {
		sentence += ", and not " + quotedList(skipped)
	}
	r.warn(annotationsPath.Key(contract.JobContainersAnnotation), sentence)
	return indexes
}

func (r *reading) planContainer(index, id int) ContainerPlan {
	container := &r.pod.Spec.Containers[index]
	path := containersPath.Index(index)
	plan := ContainerPlan{
		Name:             container.Name,
		ID:               id,
		WorkingDirectory: container.WorkingDir,
		EnvFrom:          slices.Concat(r.config.DefaultCommandParams.EnvFrom, r.plugin.CommandParams.EnvFrom, r.plugin.GitEnvFrom),
		Mounts:           r.extraMounts(container.VolumeMounts, r.plugin.CommandParams.ExtraVolumeMounts, r.config.DefaultCommandParams.ExtraVolumeMounts),
	}
	if container.Image == "" {
		plan.Image = r.plan.AgentImage
	}
	r.checkWorkingDirectory(path.Child("workingDir"), container.WorkingDir)
	if len(container.Command)+len(container.Args) == 0 {
		return plan
	}
	plan.Interposer = r.interposer().forCommand(container.Command, container.Args)
	plan.Commands = len(container.Command)
	plan.words = slices.Concat(container.Command, container.Args)
	plan.CommandDigest = digestWords(plan.words)
	if plan.Interposer == InterposerVector && plan.Commands == 0 {
		r.refuse(field.Required(path.Child("command"), "set command beside args; the entrypoint of an image cannot be seen at admission"))
	}
	r.checkCommandSize(container, path, plan.Interposer)
	return plan
}

// digestWords tells lists of words apart, wherever one word ends.
func digestWords(words []string) string {
	text, err := json.Marshal(words)
	if err != nil {
		// Every list of strings has a JSON form.
		panic("encode words: " + err.Error())
	}
	return digest(text)
}

// interposer returns the plugin's, or else the default for this pod.
func (r *reading) interposer() Interposer {
	_, dispatched := r.pod.Labels[contract.ControllerIDLabel]
	switch {
	case r.plugin.CommandParams.Interposer != "":
		return r.plugin.CommandParams.Interposer
	case dispatched:
		return r.config.Interposer.Dispatched
	default:
		return r.config.Interposer.HandMade
	}
}

// extraMounts returns the plugin's mounts and then the platform's, less those
// whose paths the container uses already; the first of two on one path counts.
func (r *reading) extraMounts(own, special, platform []corev1.VolumeMount) []corev1.VolumeMount {
	var extra []corev1.VolumeMount
	for _, mount := range slices.Concat(special, r.plugin.ExtraVolumeMounts, platform) {
		if !mountsPath(own, mount.MountPath) && !mountsPath(extra, mount.MountPath) {
			extra = append(extra, mount)
		}
	}
	return extra
}

// readServices plans the plugin's sidecars: containers that start before the
// job and end after it.
func (r *reading) readServices() {
	for i, service := range r.plugin.Sidecars {
		path := pluginPath.Child("sidecars").Index(i)
		if service.Name == "" {
			service.Name = contract.ServiceContainerNamePrefix + strconv.Itoa(i)
		}
		if policy := service.RestartPolicy; policy != nil && *policy != corev1.ContainerRestartPolicyAlways {
			r.refuse(field.NotSupported(path.Child("restartPolicy"), *policy, []corev1.ContainerRestartPolicy{corev1.ContainerRestartPolicyAlways}))
		}
		if service.Image == "" {
			r.refuse(field.Required(path.Child("image"), "name an image"))
		}
		service.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		service.VolumeMounts = append(service.VolumeMounts, r.extraMounts(service.VolumeMounts, r.plugin.SidecarParams.ExtraVolumeMounts, r.config.DefaultSidecarParams.ExtraVolumeMounts)...)
		service.EnvFrom = slices.Concat(service.EnvFrom, r.config.DefaultSidecarParams.EnvFrom, r.plugin.SidecarParams.EnvFrom, r.plugin.GitEnvFrom)
		r.plan.Services = append(r.plan.Services, ServicePlan{Name: service.Name})
		r.plan.services = append(r.plan.services, service)
	}
}

func (r *reading) containerNames() []string {
	names := make([]string, len(r.pod.Spec.Containers))
	for i, container := range r.pod.Spec.Containers {
		names[i] = container.Name
	}
	return names
}

func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// readImages notes the images that the job's log shows.
func (r *reading) readImages() {
	if r.plan.Checkout != nil {
		r.plan.Images = append(r.plan.Images, r.plan.AgentImage)
	}
	for _, planned := range r.plan.Containers {
		image := planned.Image
		if image == "" {
			image = findContainer(r.pod.Spec.Containers, planned.Name).Image
		}
		r.plan.Images = append(r.plan.Images, image)
	}
	if slices.ContainsFunc(r.plan.Images, func(image string) bool { return strings.Contains(image, ",") }) {
		r.plan.Images = nil
	}
}

package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// The functions here set what is ours and leave the rest: on a new container
// they build it, and on one that went through them before they change nothing,
// whatever others have added in between.

// ensureContainer covers the container of that name with what is prescribed,
// or inserts it at the index; -1 is the end. The pod gets a copy: what is
// prescribed has parts of the configuration in it, which other pods share.
func ensureContainer(containers []corev1.Container, prescribed corev1.Container, index int) []corev1.Container {
	prescribed = *prescribed.DeepCopy()
	if existing := findContainer(containers, prescribed.Name); existing != nil {
		cover(existing, prescribed)
		return containers
	}
	if index < 0 {
		index = len(containers)
	}
	return slices.Insert(containers, index, prescribed)
}

// cover sets the fields of a container that an injected container owns.
// Resources and pull policy are set when it is made, and are then free to
// quota defaults and in-tree admission plugins.
func cover(container *corev1.Container, prescribed corev1.Container) {
	container.Image = prescribed.Image
	container.Command = prescribed.Command
	container.Args = prescribed.Args
	container.WorkingDir = prescribed.WorkingDir
	for _, variable := range prescribed.Env {
		ensureEnv(container, variable)
	}
	ensureEnvFrom(container, prescribed.EnvFrom)
	for _, mount := range prescribed.VolumeMounts {
		ensureMount(container, mount)
	}
	coverSecurityContext(container, prescribed.SecurityContext)
}

// ensureEnv sets a variable. Of several with one name the last counts. One that
// leads to the network stays as it is: other webhooks set these too, and know
// better what the node or the mesh needs.
func ensureEnv(container *corev1.Container, variable corev1.EnvVar) {
	for i, existing := range slices.Backward(container.Env) {
		if existing.Name == variable.Name {
			if !isNetworkVariable(variable.Name) && !equality.Semantic.DeepEqual(existing, variable) {
				container.Env[i] = variable
			}
			return
		}
	}
	container.Env = append(container.Env, variable)
}

func ensureEnvFrom(container *corev1.Container, sources []corev1.EnvFromSource) {
	for _, source := range sources {
		present := slices.ContainsFunc(container.EnvFrom, func(existing corev1.EnvFromSource) bool {
			return equality.Semantic.DeepEqual(existing, source)
		})
		if !present {
			container.EnvFrom = append(container.EnvFrom, *source.DeepCopy())
		}
	}
}

// ensureMount mounts a volume at a path. A mount that is there may have a
// subPath of its own.
func ensureMount(container *corev1.Container, mount corev1.VolumeMount) {
	for i, existing := range container.VolumeMounts {
		if cleanMountPath(existing.MountPath) != cleanMountPath(mount.MountPath) {
			continue
		}
		if existing.Name != mount.Name || existing.ReadOnly != mount.ReadOnly {
			container.VolumeMounts[i] = mount
		}
		return
	}
	container.VolumeMounts = append(container.VolumeMounts, mount)
}

// ensureVolume adds a volume unless one of that name is there that is the same
// but for defaults.
func ensureVolume(pod *corev1.Pod, volume corev1.Volume) {
	for i, existing := range pod.Spec.Volumes {
		if existing.Name != volume.Name {
			continue
		}
		if !sameSource(existing.VolumeSource, volume.VolumeSource) {
			pod.Spec.Volumes[i] = volume
		}
		return
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, volume)
}

// sameSource reports whether an existing source is the prescribed one, perhaps
// with more in it: the API server adds defaults, such as a pull policy.
func sameSource(existing, prescribed corev1.VolumeSource) bool {
	return equality.Semantic.DeepEqual(existing, prescribed) || contains(treeOf(existing), treeOf(prescribed))
}

// contains reports whether a JSON tree has all that another has, with lists of
// the same lengths.
func contains(existing, prescribed any) bool {
	switch prescribed := prescribed.(type) {
	case map[string]any:
		object, isObject := existing.(map[string]any)
		for key, value := range prescribed {
			child, exists := object[key]
			if !exists || !contains(child, value) {
				return false
			}
		}
		return isObject
	case []any:
		list, isList := existing.([]any)
		for i, value := range prescribed {
			if len(list) != len(prescribed) || !contains(list[i], value) {
				return false
			}
		}
		return isList
	default:
		return existing == prescribed
	}
}

// override sets a pointer to what is prescribed, if anything is.
func override[T any](target **T, prescribed *T) {
	if prescribed != nil && (*target == nil || !equality.Semantic.DeepEqual(**target, *prescribed)) {
		*target = prescribed
	}
}

func findContainer(containers []corev1.Container, name string) *corev1.Container {
	for i := range containers {
		if containers[i].Name == name {
			return &containers[i]
		}
	}
	return nil
}

func env(name, value string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, Value: value}
}

// fieldEnv is a variable with the value of a field of the pod.
func fieldEnv(name, path string) corev1.EnvVar {
	// The API version is the default, written out so that a second admission
	// finds what the first one wrote.
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
	}}
}

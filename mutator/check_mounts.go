package mutator

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// reservedPath holds our volumes in every wrapped container.
const reservedPath = "/buildkite"

// checkMounts refuses mounts of our volumes, and mounts where ours go.
func (r *reading) checkMounts() {
	for i, container := range r.pod.Spec.InitContainers {
		r.checkMountList(container.VolumeMounts, initContainersPath.Index(i).Child("volumeMounts"), false)
	}
	for i, container := range r.pod.Spec.Containers {
		wrapped := slices.Contains(r.plan.jobContainerNames(), container.Name)
		r.checkMountList(container.VolumeMounts, containersPath.Index(i).Child("volumeMounts"), wrapped)
	}
	for i, service := range r.plugin.Sidecars {
		r.checkMountList(service.VolumeMounts, pluginPath.Child("sidecars").Index(i).Child("volumeMounts"), true)
	}
	for _, extra := range []struct {
		mounts []corev1.VolumeMount
		path   *field.Path
	}{
		{r.plugin.ExtraVolumeMounts, pluginPath.Child("extraVolumeMounts")},
		{r.plugin.CommandParams.ExtraVolumeMounts, pluginPath.Child("commandParams", "extraVolumeMounts")},
		{r.plugin.Checkout.ExtraVolumeMounts, pluginPath.Child("checkout", "extraVolumeMounts")},
		{r.plugin.SidecarParams.ExtraVolumeMounts, pluginPath.Child("sidecarParams", "extraVolumeMounts")},
	} {
		r.checkMountList(extra.mounts, extra.path, true)
	}
}

// checkMountList checks a container's mounts; ours says that we mount our
// volumes into the container too.
func (r *reading) checkMountList(mounts []corev1.VolumeMount, path *field.Path, ours bool) {
	for i, mount := range mounts {
		at := path.Index(i)
		where := cleanMountPath(mount.MountPath)
		switch {
		case strings.HasPrefix(mount.Name, contract.VolumePrefix):
			r.refuse(field.Invalid(at.Child("name"), mount.Name, "an injected volume is not for other containers; remove the mount"))
		case !ours:
		case where == reservedPath || strings.HasPrefix(where, reservedPath+"/"):
			r.refuse(field.Invalid(at.Child("mountPath"), mount.MountPath, reservedPath+" is reserved; mount the volume elsewhere"))
		case where == contract.WorkspacePath && mount.Name != contract.WorkspaceVolume:
			r.refuse(field.Invalid(at.Child("mountPath"), mount.MountPath,
				"the workspace is mounted here; name the volume "+contract.WorkspaceVolume+" to use it as the workspace, or mount it elsewhere"))
		case where == contract.WorkspacePath && mount.ReadOnly:
			r.refuse(field.Invalid(at.Child("readOnly"), true, "a job writes to the workspace; remove the field"))
		}
	}
}

func mountsPath(mounts []corev1.VolumeMount, where string) bool {
	return slices.ContainsFunc(mounts, func(mount corev1.VolumeMount) bool {
		return cleanMountPath(mount.MountPath) == cleanMountPath(where)
	})
}

// cleanMountPath returns the path that the kubelet mounts at.
func cleanMountPath(where string) string {
	return path.Join("/", where)
}

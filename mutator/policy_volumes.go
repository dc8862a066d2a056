package mutator

import (
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// volumeTypes are the names of the fields of a volume's source.
var volumeTypes = slices.Sorted(maps.Keys(fieldsOf(reflect.ValueOf(&corev1.VolumeSource{}).Elem())))

// volumes is about what a pod mounts.
func (i *inspection) volumes() {
	for index, volume := range i.pod.Spec.Volumes {
		i.volume(volume.VolumeSource, volumesPath.Index(index), i.readOnlyMounts(volume.Name))
	}
	if mirrors := i.plugin.Checkout.GitMirrors; mirrors != nil && mirrors.Volume != nil {
		i.volume(mirrors.Volume.VolumeSource, pluginPath.Child("checkout", "gitMirrors", "volume"),
			i.writable("checkout writes to its mirrors, so use another volume"))
	}
}

// volume checks a volume; mounts are checked if it is a directory of the node.
func (i *inspection) volume(source corev1.VolumeSource, at *field.Path, mounts func(*field.Path, string)) {
	if types := i.policy.Volumes.or(everything); !types.permitsAll() {
		i.volumeType(types, source, at)
	}
	if claim := source.PersistentVolumeClaim; claim != nil {
		i.listed("persistentVolumeClaims", i.policy.PersistentVolumeClaims.or(everything), claim.ClaimName, at.Child("persistentVolumeClaim", "claimName"))
	}
	if source.HostPath == nil {
		return
	}
	directory, path := source.HostPath.Path, at.Child("hostPath", "path")
	switch {
	case !i.policy.HostPath.allows(directory):
		// The directory matches none of these.
		list := PolicyList{Allow: i.policy.HostPath.Allow}
		i.add("hostPath", directory, path, list.objectionBy(directory, func(string, string) bool { return false }))
	case !i.policy.HostPath.Writable:
		mounts(path, directory)
	}
}

func (i *inspection) volumeType(list PolicyList, source corev1.VolumeSource, path *field.Path) {
	text, err := json.Marshal(source)
	if err != nil {
		// The source was decoded from JSON.
		panic("encode volume: " + err.Error())
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		panic("decode volume: " + err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if objection := list.objection(name); objection != "" {
			i.add("volumes", string(text), path.Child(name), objection)
		}
	}
}

// onlyReads begins the refusals of what could write to a directory of the node.
const onlyReads = "the platform's policy allows only to read directories of the node; "

// readOnlyMounts checks the mounts of a volume of the pod's.
func (i *inspection) readOnlyMounts(volume string) func(*field.Path, string) {
	if volume == contract.WorkspaceVolume {
		return i.writable("a job writes to its workspace, so use another volume")
	}
	return func(_ *field.Path, directory string) {
		for _, list := range i.mounts() {
			for index, mount := range list.mounts {
				if mount.Name == volume && !mount.ReadOnly {
					i.add("hostPathWritable", directory, list.path.Index(index).Child("readOnly"), onlyReads+"set it to true, or ask your platform team")
				}
			}
		}
	}
}

// writable is about volumes that the job's own containers write to.
func (i *inspection) writable(reason string) func(*field.Path, string) {
	return func(path *field.Path, directory string) {
		i.add("hostPathWritable", directory, path, onlyReads+reason+", or ask your platform team")
	}
}

// allows reports whether a directory is an allowed one or below one. The
// kubelet takes no path with .. in it.
func (p HostPathPolicy) allows(directory string) bool {
	if slices.Contains(strings.Split(directory, "/"), "..") {
		return false
	}
	directory = path.Clean("/" + directory)
	return slices.ContainsFunc(p.Allow, func(allowed string) bool {
		allowed = path.Clean(allowed)
		return directory == allowed || strings.HasPrefix(directory, strings.TrimSuffix(allowed, "/")+"/")
	})
}

// mountList is a list of mounts and where its author wrote it.
type mountList struct {
	mounts []corev1.VolumeMount
	path   *field.Path
}

func (i *inspection) mounts() []mountList {
	var lists []mountList
	for _, container := range i.containers {
		lists = append(lists, mountList{container.VolumeMounts, container.path.Child("volumeMounts")})
	}
	return append(lists,
		mountList{i.plugin.ExtraVolumeMounts, pluginPath.Child("extraVolumeMounts")},
		mountList{i.plugin.CommandParams.ExtraVolumeMounts, pluginPath.Child("commandParams", "extraVolumeMounts")},
		mountList{i.plugin.Checkout.ExtraVolumeMounts, pluginPath.Child("checkout", "extraVolumeMounts")},
		mountList{i.plugin.SidecarParams.ExtraVolumeMounts, pluginPath.Child("sidecarParams", "extraVolumeMounts")},
	)
}

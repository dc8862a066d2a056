package podrules

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) mounts(container *corev1.Container, path *field.Path) {
	places := map[string]bool{}
	for i, mount := range container.VolumeMounts {
		at := path.Index(i)
		c.volumeOf(mount.Name, at.Child("name"))
		if c.required(at.Child("mountPath"), mount.MountPath, "say where the volume is mounted") && places[mount.MountPath] {
			c.add(field.Duplicate(at.Child("mountPath"), mount.MountPath))
		}
		places[mount.MountPath] = true
		c.inside(at.Child("subPath"), mount.SubPath)
		c.inside(at.Child("subPathExpr"), mount.SubPathExpr)
		if mount.SubPath != "" && mount.SubPathExpr != "" {
			c.invalid(at.Child("subPathExpr"), mount.SubPathExpr, "subPath is set, too; keep one of them")
		}
		c.propagation(container, mount, at)
	}
}

// volumeOf looks a volume up. Whether it is right itself is said elsewhere.
func (c *checker) volumeOf(name string, path *field.Path) {
	if !c.required(path, name, "name the volume") {
		return
	}
	if _, exists := c.volumes[name]; !exists {
		c.add(field.NotFound(path, name))
	}
}

func (c *checker) propagation(container *corev1.Container, mount corev1.VolumeMount, at *field.Path) {
	if mode := mount.MountPropagation; mode != nil {
		oneOf(c, at.Child("mountPropagation"), *mode, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
		security := container.SecurityContext
		if *mode == corev1.MountPropagationBidirectional && (security == nil || !deref(security.Privileged)) {
			c.add(field.Forbidden(at.Child("mountPropagation"), "Bidirectional needs a privileged container; choose another mode"))
		}
	}
	mode := mount.RecursiveReadOnly
	if mode == nil {
		return
	}
	oneOf(c, at.Child("recursiveReadOnly"), *mode, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyIfPossible, corev1.RecursiveReadOnlyEnabled)
	if *mode != corev1.RecursiveReadOnlyDisabled && !mount.ReadOnly {
		c.add(field.Forbidden(at.Child("recursiveReadOnly"), "it is about read-only mounts; set readOnly: true, too"))
	}
}

func (c *checker) devices(container *corev1.Container, path *field.Path) {
	names, places := map[string]bool{}, map[string]bool{}
	for _, mount := range container.VolumeMounts {
		names[mount.Name], places[mount.MountPath] = true, true
	}
	for i, device := range container.VolumeDevices {
		at := path.Index(i)
		c.volumeOf(device.Name, at.Child("name"))
		if source, exists := c.volumes[device.Name]; exists && source.PersistentVolumeClaim == nil && source.Ephemeral == nil {
			c.invalid(at.Child("name"), device.Name, "only a persistentVolumeClaim or an ephemeral volume can be a device")
		}
		if names[device.Name] && device.Name != "" {
			c.add(field.Duplicate(at.Child("name"), device.Name))
		}
		if c.required(at.Child("devicePath"), device.DevicePath, "say where the device is to be") {
			if places[device.DevicePath] {
				c.add(field.Duplicate(at.Child("devicePath"), device.DevicePath))
			}
			c.noBackSteps(at.Child("devicePath"), device.DevicePath)
		}
		names[device.Name], places[device.DevicePath] = true, true
	}
}

// inside refuses a path that leaves the directory that it is below of.
func (c *checker) inside(path *field.Path, text string) {
	if strings.HasPrefix(text, "/") {
		c.invalid(path, text, "want a path without / at its beginning")
	}
	c.noBackSteps(path, text)
}

func (c *checker) noBackSteps(path *field.Path, text string) {
	if slices.Contains(strings.Split(text, "/"), "..") {
		c.invalid(path, text, "want a path without ..")
	}
}

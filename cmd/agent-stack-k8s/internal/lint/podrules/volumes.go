package podrules

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) podVolumes(path *field.Path) {
	for i, volume := range c.spec.Volumes {
		at := path.Index(i)
		if c.required(at.Child("name"), volume.Name, "name the volume") {
			c.problems(at.Child("name"), volume.Name, validation.IsDNS1123Label(volume.Name))
			if _, twice := c.volumes[volume.Name]; twice {
				c.add(field.Duplicate(at.Child("name"), volume.Name))
			}
		}
		c.volumes[volume.Name] = volume.VolumeSource
		if names := sources(volume.VolumeSource); len(names) > 1 {
			c.add(field.Forbidden(at.Child(names[1]), "a volume has one source and this one has "+strings.Join(names, " and ")+"; keep one"))

			continue
		}
		// One without a source is an empty directory.
		c.source(volume.VolumeSource, at)
	}
}

// sources are the names of the sources that a volume has.
func sources(source corev1.VolumeSource) []string {
	var names []string
	value := reflect.ValueOf(source)
	for i := range value.NumField() {
		if value.Field(i).Kind() == reflect.Pointer && !value.Field(i).IsNil() {
			name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
			names = append(names, name)
		}
	}

	return names
}

// source checks the sources that people use; the others are the API server's to
// judge.
func (c *checker) source(source corev1.VolumeSource, at *field.Path) {
	switch {
	case source.EmptyDir != nil:
		if limit := source.EmptyDir.SizeLimit; limit != nil && limit.Sign() < 0 {
			c.invalid(at.Child("emptyDir", "sizeLimit"), limit.String(), "want a quantity of 0 or more")
		}
	case source.HostPath != nil:
		c.hostPath(source.HostPath, at.Child("hostPath"))
	case source.Secret != nil:
		path := at.Child("secret")
		c.required(path.Child("secretName"), source.Secret.SecretName, "name the Secret")
		c.mode(path.Child("defaultMode"), source.Secret.DefaultMode)
		c.items(path.Child("items"), source.Secret.Items)
	case source.ConfigMap != nil:
		path := at.Child("configMap")
		c.required(path.Child("name"), source.ConfigMap.Name, "name the ConfigMap")
		c.mode(path.Child("defaultMode"), source.ConfigMap.DefaultMode)
		c.items(path.Child("items"), source.ConfigMap.Items)
	case source.PersistentVolumeClaim != nil:
		c.required(at.Child("persistentVolumeClaim", "claimName"), source.PersistentVolumeClaim.ClaimName, "name the claim")
	case source.NFS != nil:
		c.required(at.Child("nfs", "server"), source.NFS.Server, "name the server")
		if c.required(at.Child("nfs", "path"), source.NFS.Path, "give the exported path") && !strings.HasPrefix(source.NFS.Path, "/") {
			c.invalid(at.Child("nfs", "path"), source.NFS.Path, "want a path that begins with /")
		}
	case source.CSI != nil:
		c.required(at.Child("csi", "driver"), source.CSI.Driver, "name the driver")
	case source.DownwardAPI != nil:
		c.mode(at.Child("downwardAPI", "defaultMode"), source.DownwardAPI.DefaultMode)
		c.files(at.Child("downwardAPI", "items"), source.DownwardAPI.Items)
	case source.Projected != nil:
		c.projected(source.Projected, at.Child("projected"))
	case source.Ephemeral != nil:
		c.claimTemplate(source.Ephemeral.VolumeClaimTemplate, at.Child("ephemeral", "volumeClaimTemplate"))
	case source.Image != nil:
		oneOf(c, at.Child("image", "pullPolicy"), source.Image.PullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	}
}

func (c *checker) claimTemplate(template *corev1.PersistentVolumeClaimTemplate, path *field.Path) {
	if template == nil {
		c.add(field.Required(path, "describe the claim that is made for the pod"))

		return
	}
	modes := path.Child("spec", "accessModes")
	if len(template.Spec.AccessModes) == 0 {
		c.add(field.Required(modes, "give at least one, such as ReadWriteOnce"))
	}
	for i, mode := range template.Spec.AccessModes {
		if c.required(modes.Index(i), string(mode), "give a mode, such as ReadWriteOnce") {
			oneOf(c, modes.Index(i), mode, corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOncePod)
		}
	}
	storage, set := template.Spec.Resources.Requests[corev1.ResourceStorage]
	at := path.Child("spec", "resources", "requests").Key(string(corev1.ResourceStorage))
	switch {
	case !set:
		c.add(field.Required(at, "say how large the claim is"))
	case storage.Sign() <= 0:
		c.invalid(at, storage.String(), "want a quantity above 0")
	}
}

func (c *checker) hostPath(source *corev1.HostPathVolumeSource, path *field.Path) {
	if !c.required(path.Child("path"), source.Path, "give a path of the node") {
		return
	}
	c.noBackSteps(path.Child("path"), source.Path)
	oneOf(c, path.Child("type"), deref(source.Type), corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate, corev1.HostPathFile,
		corev1.HostPathFileOrCreate, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)
}

func (c *checker) projected(projected *corev1.ProjectedVolumeSource, path *field.Path) {
	c.mode(path.Child("defaultMode"), projected.DefaultMode)
	for i, source := range projected.Sources {
		at := path.Child("sources").Index(i)
		count := 0
		if source.Secret != nil {
			count++
			c.required(at.Child("secret", "name"), source.Secret.Name, "name the Secret")
			c.items(at.Child("secret", "items"), source.Secret.Items)
		}
		if source.ConfigMap != nil {
			count++
			c.required(at.Child("configMap", "name"), source.ConfigMap.Name, "name the ConfigMap")
			c.items(at.Child("configMap", "items"), source.ConfigMap.Items)
		}
		if source.DownwardAPI != nil {
			count++
			c.files(at.Child("downwardAPI", "items"), source.DownwardAPI.Items)
		}
		if token := source.ServiceAccountToken; token != nil {
			count++
			c.required(at.Child("serviceAccountToken", "path"), token.Path, "give the name of the token's file")
			if seconds := token.ExpirationSeconds; seconds != nil && *seconds < 600 {
				c.invalid(at.Child("serviceAccountToken", "expirationSeconds"), *seconds, "a token lives 600 seconds or longer")
			}
		}
		if count > 1 {
			c.add(field.Forbidden(at, "one source per entry; make entries of the others"))
		}
	}
}

func (c *checker) items(path *field.Path, items []corev1.KeyToPath) {
	for i, item := range items {
		at := path.Index(i)
		c.required(at.Child("key"), item.Key, "give the key to take")
		if c.required(at.Child("path"), item.Path, "give the name of the key's file") {
			c.inside(at.Child("path"), item.Path)
		}
		c.mode(at.Child("mode"), item.Mode)
	}
}

func (c *checker) files(path *field.Path, files []corev1.DownwardAPIVolumeFile) {
	for i, file := range files {
		at := path.Index(i)
		if c.required(at.Child("path"), file.Path, "give the file's name") {
			c.inside(at.Child("path"), file.Path)
		}
		c.mode(at.Child("mode"), file.Mode)
		if (file.FieldRef == nil) == (file.ResourceFieldRef == nil) {
			c.invalid(at, field.OmitValueType{}, "give one of fieldRef and resourceFieldRef")

			continue
		}
		if file.FieldRef != nil {
			c.fieldRef(file.FieldRef, filePaths, at.Child("fieldRef"))
		} else {
			c.resourceFieldRef(file.ResourceFieldRef, true, at.Child("resourceFieldRef"))
		}
	}
}

func (c *checker) mode(path *field.Path, mode *int32) {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		c.invalid(path, *mode, "want file permissions from 0 to 0777 (511)")
	}
}

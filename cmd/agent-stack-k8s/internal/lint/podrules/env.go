package podrules

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) env(variables []corev1.EnvVar, path *field.Path) {
	for i, variable := range variables {
		at := path.Index(i)
		if c.required(at.Child("name"), variable.Name, "name the variable") {
			c.problems(at.Child("name"), variable.Name, validation.IsRelaxedEnvVarName(variable.Name))
		}
		if variable.ValueFrom != nil {
			c.valueFrom(variable, at.Child("valueFrom"))
		}
	}
}

func (c *checker) valueFrom(variable corev1.EnvVar, path *field.Path) {
	source := variable.ValueFrom
	count := 0
	if source.FieldRef != nil {
		count++
		c.fieldRef(source.FieldRef, variablePaths, path.Child("fieldRef"))
	}
	if source.ResourceFieldRef != nil {
		count++
		c.resourceFieldRef(source.ResourceFieldRef, false, path.Child("resourceFieldRef"))
	}
	if reference := source.ConfigMapKeyRef; reference != nil {
		count++
		c.keyRef(reference.Name, reference.Key, path.Child("configMapKeyRef"))
	}
	if reference := source.SecretKeyRef; reference != nil {
		count++
		c.keyRef(reference.Name, reference.Key, path.Child("secretKeyRef"))
	}
	if source.FileKeyRef != nil {
		count++
	}
	switch {
	case count == 0:
		c.add(field.Required(path, "say where the value is: one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef"))
	case variable.Value != "":
		c.invalid(path, field.OmitValueType{}, "the variable has a value, too; keep one of them")
	case count > 1:
		c.invalid(path, field.OmitValueType{}, "the value comes from one place; keep one of them")
	}
}

func (c *checker) keyRef(name, key string, path *field.Path) {
	if c.required(path.Child("name"), name, "name the object that has the value") {
		c.problems(path.Child("name"), name, validation.IsDNS1123Subdomain(name))
	}
	if c.required(path.Child("key"), key, "give the key that has the value") {
		c.problems(path.Child("key"), key, validation.IsConfigMapKey(key))
	}
}

func (c *checker) envFrom(sources []corev1.EnvFromSource, path *field.Path) {
	for i, source := range sources {
		at := path.Index(i)
		if source.Prefix != "" {
			c.problems(at.Child("prefix"), source.Prefix, validation.IsRelaxedEnvVarName(source.Prefix))
		}
		if reference := source.ConfigMapRef; reference != nil {
			if c.required(at.Child("configMapRef", "name"), reference.Name, "name the ConfigMap") {
				c.problems(at.Child("configMapRef", "name"), reference.Name, validation.IsDNS1123Subdomain(reference.Name))
			}
		}
		if reference := source.SecretRef; reference != nil {
			if c.required(at.Child("secretRef", "name"), reference.Name, "name the Secret") {
				c.problems(at.Child("secretRef", "name"), reference.Name, validation.IsDNS1123Subdomain(reference.Name))
			}
		}
		if (source.ConfigMapRef == nil) == (source.SecretRef == nil) {
			c.invalid(at, field.OmitValueType{}, "give one of configMapRef and secretRef")
		}
	}
}

// Fields of a pod that variables and files can have.
var (
	variablePaths = []string{
		"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
	}
	filePaths = []string{"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations"}
	// resourcePaths are a container's resources that variables and files can have.
	resourcePaths = []string{
		"limits.cpu", "limits.memory", "limits.ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
	}
)

func (c *checker) fieldRef(reference *corev1.ObjectFieldSelector, paths []string, path *field.Path) {
	if !c.required(path.Child("fieldPath"), reference.FieldPath, "give a field of the pod, such as metadata.name") {
		return
	}
	if strings.HasPrefix(reference.FieldPath, "metadata.labels['") || strings.HasPrefix(reference.FieldPath, "metadata.annotations['") {
		return
	}
	if reference.FieldPath == "spec.host" {
		return // an old name of spec.nodeName
	}
	oneOf(c, path.Child("fieldPath"), reference.FieldPath, paths...)
}

func (c *checker) resourceFieldRef(reference *corev1.ResourceFieldSelector, inVolume bool, path *field.Path) {
	if inVolume {
		c.required(path.Child("containerName"), reference.ContainerName, "name the container whose resources are meant")
	}
	if !c.required(path.Child("resource"), reference.Resource, "give a resource, such as limits.memory") {
		return
	}
	if strings.HasPrefix(reference.Resource, "limits.hugepages-") || strings.HasPrefix(reference.Resource, "requests.hugepages-") {
		return
	}
	oneOf(c, path.Child("resource"), reference.Resource, resourcePaths...)
}

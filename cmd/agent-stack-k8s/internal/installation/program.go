package installation

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
)

// IsForbidden reports whether the cluster refuses the person a look.
func IsForbidden(err error) bool { return apierrors.IsForbidden(err) }

// IsNotFound reports whether an object, or a kind of object, is not there.
func IsNotFound(err error) bool { return apierrors.IsNotFound(err) }

// program is a container of a Deployment and what it is given.
type program struct {
	namespace string
	spec      *corev1.PodSpec
	container corev1.Container
}

// programOf takes the container of a name, or the first.
func programOf(deployment *appsv1.Deployment, name string) program {
	spec := &deployment.Spec.Template.Spec
	p := program{namespace: deployment.Namespace, spec: spec}
	index := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if len(spec.Containers) > 0 {
		p.container = spec.Containers[max(index, 0)]
	}
	return p
}

// argument returns the value of --name=value or --name value, or "".
func (p program) argument(name string) string {
	all := slices.Concat(p.container.Command, p.container.Args)
	for i, argument := range all {
		if value, found := strings.CutPrefix(argument, "--"+name+"="); found {
			return value
		}
		if argument == "--"+name && i+1 < len(all) {
			return all[i+1]
		}
	}
	return ""
}

// variable returns the value of an environment variable, or "" if it has none
// or takes it from elsewhere.
func (p program) variable(name string) string {
	for _, variable := range p.container.Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

// volumeOf returns the volume that a file is in, and the file's name there.
func (p program) volumeOf(file string) (*corev1.Volume, string) {
	for _, mount := range p.container.VolumeMounts {
		name, isIn := strings.CutPrefix(path.Clean(file), strings.TrimSuffix(mount.MountPath, "/")+"/")
		if !isIn {
			continue
		}
		for i := range p.spec.Volumes {
			if p.spec.Volumes[i].Name == mount.Name {
				return &p.spec.Volumes[i], name
			}
		}
	}
	return nil, ""
}

// secretOf returns the Secret and the key that a mounted file comes from.
func (p program) secretOf(file string) (secret, key string) {
	volume, name := p.volumeOf(file)
	if volume == nil || volume.Secret == nil {
		return "", ""
	}
	for _, item := range volume.Secret.Items {
		if item.Path == name {
			name = item.Key
		}
	}
	return volume.Secret.SecretName, name
}

// file reads a file that is mounted from a ConfigMap.
func (p program) file(ctx context.Context, client *cluster.Client, file string) ([]byte, error) {
	if file == "" {
		return nil, errNoFile
	}
	volume, name := p.volumeOf(file)
	if volume == nil || volume.ConfigMap == nil {
		return nil, fmt.Errorf("%s of container %s comes from no ConfigMap", file, p.container.Name)
	}
	for _, item := range volume.ConfigMap.Items {
		if item.Path == name {
			name = item.Key
		}
	}
	var config corev1.ConfigMap
	if err := client.Get(ctx, &config, cluster.Core(p.namespace, "configmaps", volume.ConfigMap.Name)); err != nil {
		return nil, err
	}
	text, exists := config.Data[name]
	if !exists {
		return nil, fmt.Errorf("the ConfigMap %s/%s has no key %s", p.namespace, config.Name, name)
	}
	return []byte(text), nil
}

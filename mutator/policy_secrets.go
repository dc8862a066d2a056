package mutator

import "strings"

// secrets is about whose secrets a pod uses. The protected ones are refused
// apart from this.
func (i *inspection) secrets() {
	for index, reference := range i.pod.Spec.ImagePullSecrets {
		i.listed("imagePullSecrets", i.policy.ImagePullSecrets.or(everything), reference.Name, specPath.Child("imagePullSecrets").Index(index).Child("name"))
	}
	list := i.policy.Secrets.or(everything)
	if list.permitsAll() {
		return
	}
	var found []secretReference
	for _, container := range i.containers {
		if !strings.HasPrefix(container.path.String(), pluginPath.String()) {
			found = append(found, secretsIn(container.Container, container.path)...)
		}
	}
	for index, volume := range i.pod.Spec.Volumes {
		found = append(found, secretsIn(volume, volumesPath.Index(index))...)
	}
	plugin := i.plugin
	plugin.PodSpecPatch = nil
	found = append(found, secretsIn(plugin, pluginPath)...)
	for _, reference := range found {
		i.listed("secrets", list, reference.name, reference.path)
	}
}

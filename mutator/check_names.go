package mutator

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var reservedContainers = []string{contract.AgentContainer, contract.CheckoutContainer, contract.InstallContainer}

// checkNames refuses names that are ours, names that are there twice, and
// names that are missing: the pod is put together by name.
func (r *reading) checkNames() {
	seen := sets.New[string]()
	check := func(name string, path *field.Path) {
		switch {
		case name == "":
			r.refuse(field.Required(path, "name the container"))
		case slices.Contains(reservedContainers, name):
			r.refuse(field.Invalid(path, name, "reserved for an injected container; rename yours"))
		case seen.Has(name):
			r.refuse(field.Duplicate(path, name))
		}
		seen.Insert(name)
	}
	for i, container := range r.pod.Spec.InitContainers {
		check(container.Name, initContainersPath.Index(i).Child("name"))
	}
	for i, container := range r.pod.Spec.Containers {
		check(container.Name, containersPath.Index(i).Child("name"))
	}
	for i, service := range r.plan.Services {
		check(service.Name, pluginPath.Child("sidecars").Index(i).Child("name"))
	}
	r.checkVolumeNames()
}

func (r *reading) checkVolumeNames() {
	seen := sets.New[string]()
	for i, volume := range r.pod.Spec.Volumes {
		path := volumesPath.Index(i).Child("name")
		switch {
		case volume.Name == "":
			r.refuse(field.Required(path, "name the volume"))
		case strings.HasPrefix(volume.Name, contract.VolumePrefix):
			r.refuse(field.Invalid(path, volume.Name, fmt.Sprintf("names that begin with %s are reserved for injected volumes; rename yours", contract.VolumePrefix)))
		case seen.Has(volume.Name):
			r.refuse(field.Duplicate(path, volume.Name))
		}
		seen.Insert(volume.Name)
	}
}

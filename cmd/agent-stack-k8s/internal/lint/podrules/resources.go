package podrules

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) resources(resources *corev1.ResourceRequirements, path *field.Path) {
	for _, list := range []struct {
		name   string
		values corev1.ResourceList
	}{{"limits", resources.Limits}, {"requests", resources.Requests}} {
		for _, name := range sortedKeys(list.values) {
			c.resource(name, list.values[name], path.Child(list.name).Key(string(name)))
		}
	}
	for _, name := range sortedKeys(resources.Requests) {
		request := resources.Requests[name]
		limit, limited := resources.Limits[name]
		at := path.Child("requests").Key(string(name))
		switch {
		case limited && request.Cmp(limit) > 0:
			c.invalid(at, request.String(), "more than the limit of "+limit.String()+"; lower it, or raise the limit")
		case limited && request.Cmp(limit) != 0 && wholeOnly(name):
			c.invalid(at, request.String(), "want the limit of "+limit.String()+": of this resource request and limit are the same")
		case !limited && wholeOnly(name):
			c.add(field.Required(path.Child("limits").Key(string(name)), "of this resource request and limit are the same; set the limit"))
		}
	}
	if usesHugePages(resources) && !usesComputing(resources) {
		c.add(field.Forbidden(path, "huge pages are given only beside cpu or memory; ask for one of these, too"))
	}
	for i, claim := range resources.Claims {
		c.claim(claim.Name, path.Child("claims").Index(i).Child("name"))
	}
}

func (c *checker) claim(name string, path *field.Path) {
	if !c.required(path, name, "name a claim of the pod's resourceClaims") {
		return
	}
	for _, claim := range c.spec.ResourceClaims {
		if claim.Name == name {
			return
		}
	}
	c.add(field.NotFound(path, name))
}

func (c *checker) resource(name corev1.ResourceName, quantity resource.Quantity, path *field.Path) {
	problems := validation.IsQualifiedName(string(name))
	c.problems(path, string(name), problems)
	if len(problems) == 0 && !strings.Contains(string(name), "/") && !isStandard(name) {
		c.invalid(path, string(name), "a container has cpu, memory, ephemeral-storage, hugepages-<size>, and resources with a domain, such as nvidia.com/gpu")
	}
	if quantity.Sign() < 0 {
		c.invalid(path, quantity.String(), "want a quantity of 0 or more")
	}
	if wholeOnly(name) && isStandardOrQualified(name) && quantity.MilliValue()%1000 != 0 {
		c.invalid(path, quantity.String(), "want a whole number: this resource is not divided")
	}
}

func isStandard(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage || isHugePages(name)
}

func isStandardOrQualified(name corev1.ResourceName) bool {
	return isStandard(name) || len(validation.IsQualifiedName(string(name))) == 0
}

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// wholeOnly says whether a resource is given out in whole units to one container.
func wholeOnly(name corev1.ResourceName) bool {
	qualified := strings.Contains(string(name), "/") && !strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)

	return qualified || isHugePages(name)
}

func usesHugePages(resources *corev1.ResourceRequirements) bool {
	for _, list := range []corev1.ResourceList{resources.Limits, resources.Requests} {
		for name := range list {
			if isHugePages(name) {
				return true
			}
		}
	}

	return false
}

func usesComputing(resources *corev1.ResourceRequirements) bool {
	for _, list := range []corev1.ResourceList{resources.Limits, resources.Requests} {
		for name := range list {
			if name == corev1.ResourceCPU || name == corev1.ResourceMemory {
				return true
			}
		}
	}

	return false
}

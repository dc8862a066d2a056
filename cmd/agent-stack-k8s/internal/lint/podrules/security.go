package podrules

import (
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) security(security *corev1.SecurityContext, path *field.Path) {
	if security == nil {
		return
	}
	c.user(path.Child("runAsUser"), security.RunAsUser)
	c.group(path.Child("runAsGroup"), security.RunAsGroup)
	c.seccomp(security.SeccompProfile, path.Child("seccompProfile"))
	c.appArmor(security.AppArmorProfile, path.Child("appArmorProfile"))
	if mount := security.ProcMount; mount != nil {
		oneOf(c, path.Child("procMount"), *mount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
		if *mount == corev1.UnmaskedProcMount && (c.spec.HostUsers == nil || *c.spec.HostUsers) {
			c.invalid(path.Child("procMount"), *mount, "it needs hostUsers: false in the pod; set that, or remove the field")
		}
	}
	if security.AllowPrivilegeEscalation != nil && !*security.AllowPrivilegeEscalation && deref(security.Privileged) {
		c.invalid(path.Child("allowPrivilegeEscalation"), false, "a privileged container can always do so; remove one of the two")
	}
}

func (c *checker) podSecurity(path *field.Path) {
	security := c.spec.SecurityContext
	if security == nil {
		return
	}
	c.user(path.Child("runAsUser"), security.RunAsUser)
	c.group(path.Child("runAsGroup"), security.RunAsGroup)
	c.group(path.Child("fsGroup"), security.FSGroup)
	for i, group := range security.SupplementalGroups {
		c.group(path.Child("supplementalGroups").Index(i), &group)
	}
	c.seccomp(security.SeccompProfile, path.Child("seccompProfile"))
	c.appArmor(security.AppArmorProfile, path.Child("appArmorProfile"))
	oneOf(c, path.Child("fsGroupChangePolicy"), deref(security.FSGroupChangePolicy), corev1.FSGroupChangeOnRootMismatch, corev1.FSGroupChangeAlways)
	oneOf(c, path.Child("supplementalGroupsPolicy"), deref(security.SupplementalGroupsPolicy), corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	seen := map[string]bool{}
	for i, sysctl := range security.Sysctls {
		at := path.Child("sysctls").Index(i).Child("name")
		if !c.required(at, sysctl.Name, "name the kernel parameter") {
			continue
		}
		if !sysctlName.MatchString(sysctl.Name) {
			c.invalid(at, sysctl.Name, "want the name of a kernel parameter, such as net.core.somaxconn")
		}
		if seen[sysctl.Name] {
			c.add(field.Duplicate(at, sysctl.Name))
		}
		seen[sysctl.Name] = true
	}
}

var sysctlName = regexp.MustCompile(`^[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$`)

func (c *checker) user(path *field.Path, id *int64) {
	if id != nil {
		c.problems(path, *id, validation.IsValidUserID(*id))
	}
}

func (c *checker) group(path *field.Path, id *int64) {
	if id != nil {
		c.problems(path, *id, validation.IsValidGroupID(*id))
	}
}

func (c *checker) seccomp(profile *corev1.SeccompProfile, path *field.Path) {
	if profile == nil {
		return
	}
	if c.required(path.Child("type"), string(profile.Type), "choose RuntimeDefault, Unconfined or Localhost") {
		oneOf(c, path.Child("type"), profile.Type, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined, corev1.SeccompProfileTypeLocalhost)
	}
	local := profile.Type == corev1.SeccompProfileTypeLocalhost
	switch {
	case local && profile.LocalhostProfile == nil:
		c.add(field.Required(path.Child("localhostProfile"), "type Localhost needs the profile's file"))
	case local:
		c.inside(path.Child("localhostProfile"), *profile.LocalhostProfile)
	case profile.LocalhostProfile != nil:
		c.invalid(path.Child("localhostProfile"), *profile.LocalhostProfile, "it is for type Localhost; remove it")
	}
}

func (c *checker) appArmor(profile *corev1.AppArmorProfile, path *field.Path) {
	if profile == nil {
		return
	}
	if c.required(path.Child("type"), string(profile.Type), "choose RuntimeDefault, Unconfined or Localhost") {
		oneOf(c, path.Child("type"), profile.Type, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined, corev1.AppArmorProfileTypeLocalhost)
	}
	local := profile.Type == corev1.AppArmorProfileTypeLocalhost
	switch {
	case local && deref(profile.LocalhostProfile) == "":
		c.add(field.Required(path.Child("localhostProfile"), "type Localhost needs the profile's name"))
	case !local && profile.LocalhostProfile != nil:
		c.invalid(path.Child("localhostProfile"), *profile.LocalhostProfile, "it is for type Localhost; remove it")
	}
}

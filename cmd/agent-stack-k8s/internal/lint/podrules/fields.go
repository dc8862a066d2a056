package podrules

import (
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// values are those of types of strings that have no others, for JSON Schemas.
// What is left to the policy or to the default is among them.
var values = map[reflect.Type][]string{
	reflect.TypeFor[corev1.PullPolicy]():                    {string(corev1.PullAlways), string(corev1.PullIfNotPresent), string(corev1.PullNever)},
	reflect.TypeFor[corev1.TerminationMessagePolicy]():      {string(corev1.TerminationMessageReadFile), string(corev1.TerminationMessageFallbackToLogsOnError)},
	reflect.TypeFor[corev1.Protocol]():                      {string(corev1.ProtocolTCP), string(corev1.ProtocolUDP), string(corev1.ProtocolSCTP)},
	reflect.TypeFor[corev1.DNSPolicy]():                     {string(corev1.DNSClusterFirst), string(corev1.DNSClusterFirstWithHostNet), string(corev1.DNSDefault), string(corev1.DNSNone)},
	reflect.TypeFor[corev1.PreemptionPolicy]():              {string(corev1.PreemptLowerPriority), string(corev1.PreemptNever)},
	reflect.TypeFor[corev1.URIScheme]():                     {string(corev1.URISchemeHTTP), string(corev1.URISchemeHTTPS)},
	reflect.TypeFor[corev1.MountPropagationMode]():          {string(corev1.MountPropagationNone), string(corev1.MountPropagationHostToContainer), string(corev1.MountPropagationBidirectional)},
	reflect.TypeFor[corev1.RecursiveReadOnlyMode]():         {string(corev1.RecursiveReadOnlyDisabled), string(corev1.RecursiveReadOnlyIfPossible), string(corev1.RecursiveReadOnlyEnabled)},
	reflect.TypeFor[corev1.SeccompProfileType]():            {string(corev1.SeccompProfileTypeRuntimeDefault), string(corev1.SeccompProfileTypeUnconfined), string(corev1.SeccompProfileTypeLocalhost)},
	reflect.TypeFor[corev1.AppArmorProfileType]():           {string(corev1.AppArmorProfileTypeRuntimeDefault), string(corev1.AppArmorProfileTypeUnconfined), string(corev1.AppArmorProfileTypeLocalhost)},
	reflect.TypeFor[corev1.PodFSGroupChangePolicy]():        {string(corev1.FSGroupChangeOnRootMismatch), string(corev1.FSGroupChangeAlways)},
	reflect.TypeFor[corev1.SupplementalGroupsPolicy]():      {string(corev1.SupplementalGroupsPolicyMerge), string(corev1.SupplementalGroupsPolicyStrict)},
	reflect.TypeFor[corev1.TolerationOperator]():            {string(corev1.TolerationOpEqual), string(corev1.TolerationOpExists), string(corev1.TolerationOpLt), string(corev1.TolerationOpGt)},
	reflect.TypeFor[corev1.TaintEffect]():                   {string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute)},
	reflect.TypeFor[corev1.NodeSelectorOperator]():          {string(corev1.NodeSelectorOpIn), string(corev1.NodeSelectorOpNotIn), string(corev1.NodeSelectorOpExists), string(corev1.NodeSelectorOpDoesNotExist), string(corev1.NodeSelectorOpGt), string(corev1.NodeSelectorOpLt)},
	reflect.TypeFor[corev1.UnsatisfiableConstraintAction](): {string(corev1.DoNotSchedule), string(corev1.ScheduleAnyway)},
	reflect.TypeFor[corev1.HostPathType](): {
		string(corev1.HostPathDirectoryOrCreate), string(corev1.HostPathDirectory), string(corev1.HostPathFileOrCreate), string(corev1.HostPathFile),
		string(corev1.HostPathSocket), string(corev1.HostPathCharDev), string(corev1.HostPathBlockDev),
	},
}

// requiredFields are those without which an object is always refused.
var requiredFields = map[reflect.Type][]string{
	reflect.TypeFor[corev1.Container]():                         {"name", "image"},
	reflect.TypeFor[corev1.EnvVar]():                            {"name"},
	reflect.TypeFor[corev1.SecretKeySelector]():                 {"name", "key"},
	reflect.TypeFor[corev1.ConfigMapKeySelector]():              {"name", "key"},
	reflect.TypeFor[corev1.SecretEnvSource]():                   {"name"},
	reflect.TypeFor[corev1.ConfigMapEnvSource]():                {"name"},
	reflect.TypeFor[corev1.ObjectFieldSelector]():               {"fieldPath"},
	reflect.TypeFor[corev1.ResourceFieldSelector]():             {"resource"},
	reflect.TypeFor[corev1.VolumeMount]():                       {"name", "mountPath"},
	reflect.TypeFor[corev1.VolumeDevice]():                      {"name", "devicePath"},
	reflect.TypeFor[corev1.ContainerPort]():                     {"containerPort"},
	reflect.TypeFor[corev1.Volume]():                            {"name"},
	reflect.TypeFor[corev1.KeyToPath]():                         {"key", "path"},
	reflect.TypeFor[corev1.DownwardAPIVolumeFile]():             {"path"},
	reflect.TypeFor[corev1.SecretVolumeSource]():                {"secretName"},
	reflect.TypeFor[corev1.ConfigMapVolumeSource]():             {"name"},
	reflect.TypeFor[corev1.SecretProjection]():                  {"name"},
	reflect.TypeFor[corev1.ConfigMapProjection]():               {"name"},
	reflect.TypeFor[corev1.ServiceAccountTokenProjection]():     {"path"},
	reflect.TypeFor[corev1.PersistentVolumeClaimVolumeSource](): {"claimName"},
	reflect.TypeFor[corev1.HostPathVolumeSource]():              {"path"},
	reflect.TypeFor[corev1.NFSVolumeSource]():                   {"server", "path"},
	reflect.TypeFor[corev1.CSIVolumeSource]():                   {"driver"},
	reflect.TypeFor[corev1.EphemeralVolumeSource]():             {"volumeClaimTemplate"},
	reflect.TypeFor[corev1.HTTPGetAction]():                     {"port"},
	reflect.TypeFor[corev1.TCPSocketAction]():                   {"port"},
	reflect.TypeFor[corev1.GRPCAction]():                        {"port"},
	reflect.TypeFor[corev1.ExecAction]():                        {"command"},
	reflect.TypeFor[corev1.SeccompProfile]():                    {"type"},
	reflect.TypeFor[corev1.AppArmorProfile]():                   {"type"},
	reflect.TypeFor[corev1.Sysctl]():                            {"name"},
	reflect.TypeFor[corev1.HostAlias]():                         {"ip"},
	reflect.TypeFor[corev1.PodReadinessGate]():                  {"conditionType"},
	reflect.TypeFor[corev1.PodResourceClaim]():                  {"name"},
	reflect.TypeFor[corev1.ResourceClaim]():                     {"name"},
	reflect.TypeFor[corev1.TopologySpreadConstraint]():          {"maxSkew", "topologyKey", "whenUnsatisfiable"},
	reflect.TypeFor[corev1.NodeSelector]():                      {"nodeSelectorTerms"},
	reflect.TypeFor[corev1.NodeSelectorRequirement]():           {"key", "operator"},
	reflect.TypeFor[corev1.PreferredSchedulingTerm]():           {"weight"},
	reflect.TypeFor[corev1.PodAffinityTerm]():                   {"topologyKey"},
	reflect.TypeFor[corev1.WeightedPodAffinityTerm]():           {"weight", "podAffinityTerm"},
}

// Values returns those of a type of strings, or none if it has others.
func Values(target reflect.Type) []string {
	return slices.Clone(values[target])
}

// Required returns the names of the fields that an object of the type needs.
func Required(target reflect.Type) []string {
	return slices.Clone(requiredFields[target])
}

// RequiredTypes are the types with fields that they need, by name.
func RequiredTypes() []reflect.Type {
	return slices.SortedFunc(maps.Keys(requiredFields), func(a, b reflect.Type) int {
		return slices.Compare([]string{a.Name()}, []string{b.Name()})
	})
}

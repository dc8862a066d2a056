package podrules

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (c *checker) tolerations(path *field.Path) {
	for i, toleration := range c.spec.Tolerations {
		at := path.Index(i)
		if toleration.Key != "" {
			c.labelKey(at.Child("key"), toleration.Key)
		} else if toleration.Operator != corev1.TolerationOpExists {
			c.invalid(at.Child("operator"), toleration.Operator, "without a key it has to be Exists, which tolerates every taint")
		}
		if toleration.TolerationSeconds != nil && toleration.Effect != corev1.TaintEffectNoExecute {
			c.invalid(at.Child("effect"), toleration.Effect, "tolerationSeconds is about NoExecute; set that, or remove tolerationSeconds")
		}
		switch toleration.Operator {
		case corev1.TolerationOpEqual, "":
			c.problems(at.Child("value"), toleration.Value, validation.IsValidLabelValue(toleration.Value))
		case corev1.TolerationOpExists:
			if toleration.Value != "" {
				c.invalid(at.Child("value"), toleration.Value, "operator Exists takes any value; remove it")
			}
		case corev1.TolerationOpLt, corev1.TolerationOpGt:
		default:
			c.add(field.NotSupported(at.Child("operator"), toleration.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		}
		oneOf(c, at.Child("effect"), toleration.Effect, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
	}
}

// labelKey checks the name of a label, of which the domain may be in capitals.
func (c *checker) labelKey(path *field.Path, key string) {
	c.problems(path, key, validation.IsQualifiedName(key))
}

func (c *checker) affinity(path *field.Path) {
	affinity := c.spec.Affinity
	if affinity == nil {
		return
	}
	if node := affinity.NodeAffinity; node != nil {
		c.nodeAffinity(node, path.Child("nodeAffinity"))
	}
	if pods := affinity.PodAffinity; pods != nil {
		c.podAffinity(pods.RequiredDuringSchedulingIgnoredDuringExecution, pods.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAffinity"))
	}
	if pods := affinity.PodAntiAffinity; pods != nil {
		c.podAffinity(pods.RequiredDuringSchedulingIgnoredDuringExecution, pods.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAntiAffinity"))
	}
}

const (
	requiredName  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferredName = "preferredDuringSchedulingIgnoredDuringExecution"
)

func (c *checker) nodeAffinity(node *corev1.NodeAffinity, path *field.Path) {
	if required := node.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		at := path.Child(requiredName, "nodeSelectorTerms")
		if len(required.NodeSelectorTerms) == 0 {
			c.add(field.Required(at, "give at least one term"))
		}
		for i, term := range required.NodeSelectorTerms {
			expressions := at.Index(i).Child("matchExpressions")
			c.requirements(term.MatchExpressions, expressions)
			for j, requirement := range term.MatchExpressions {
				for k, value := range requirement.Values {
					c.problems(expressions.Index(j).Child("values").Index(k), value, validation.IsValidLabelValue(value))
				}
			}
		}
	}
	for i, preferred := range node.PreferredDuringSchedulingIgnoredDuringExecution {
		at := path.Child(preferredName).Index(i)
		c.weight(at.Child("weight"), preferred.Weight)
		c.requirements(preferred.Preference.MatchExpressions, at.Child("preference", "matchExpressions"))
	}
}

func (c *checker) requirements(requirements []corev1.NodeSelectorRequirement, path *field.Path) {
	for i, requirement := range requirements {
		at := path.Index(i)
		c.labelKey(at.Child("key"), requirement.Key)
		switch requirement.Operator {
		case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
			if len(requirement.Values) == 0 {
				c.add(field.Required(at.Child("values"), "give the values that In or NotIn is about"))
			}
		case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
			if len(requirement.Values) > 0 {
				c.add(field.Forbidden(at.Child("values"), "Exists and DoesNotExist take no values; remove them"))
			}
		case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
			if len(requirement.Values) != 1 {
				c.add(field.Required(at.Child("values"), "Gt and Lt compare with one value"))
			}
		default:
			c.add(field.NotSupported(at.Child("operator"), requirement.Operator, []corev1.NodeSelectorOperator{
				corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt,
			}))
		}
	}
}

func (c *checker) weight(path *field.Path, weight int32) {
	if weight < 1 || weight > 100 {
		c.invalid(path, weight, "want a weight from 1 to 100")
	}
}

func (c *checker) podAffinity(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, path *field.Path) {
	for i, term := range required {
		c.podTerm(term, path.Child(requiredName).Index(i))
	}
	for i, weighted := range preferred {
		at := path.Child(preferredName).Index(i)
		c.weight(at.Child("weight"), weighted.Weight)
		c.podTerm(weighted.PodAffinityTerm, at.Child("podAffinityTerm"))
	}
}

func (c *checker) podTerm(term corev1.PodAffinityTerm, path *field.Path) {
	if c.required(path.Child("topologyKey"), term.TopologyKey, "give the node label that says where, such as kubernetes.io/hostname") {
		c.labelKey(path.Child("topologyKey"), term.TopologyKey)
	}
	c.selector(term.LabelSelector, path.Child("labelSelector"))
}

func (c *checker) selector(selector *metav1.LabelSelector, path *field.Path) {
	if selector != nil {
		c.errs = append(c.errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)...)
	}
}

func (c *checker) spread(path *field.Path) {
	seen := map[string]bool{}
	for i, constraint := range c.spec.TopologySpreadConstraints {
		at := path.Index(i)
		if constraint.MaxSkew < 1 {
			c.invalid(at.Child("maxSkew"), constraint.MaxSkew, "want a number from 1")
		}
		c.required(at.Child("topologyKey"), constraint.TopologyKey, "give the node label that says where, such as topology.kubernetes.io/zone")
		if c.required(at.Child("whenUnsatisfiable"), string(constraint.WhenUnsatisfiable), "choose DoNotSchedule or ScheduleAnyway") {
			oneOf(c, at.Child("whenUnsatisfiable"), constraint.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)
		}
		key := strings.Join([]string{constraint.TopologyKey, string(constraint.WhenUnsatisfiable)}, ", ")
		if seen[key] {
			c.add(field.Duplicate(at.Child("topologyKey"), key))
		}
		seen[key] = true
		c.selector(constraint.LabelSelector, at.Child("labelSelector"))
	}
}

package mutator

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// protection is a kind of Secrets that pods may not refer to.
type protection struct {
	// patterns are names, perhaps with * in them.
	patterns []string
	sentence string
	// checkoutMay exempts the checkout container.
	checkoutMay bool
}

// protections are the Secrets with the agent's token, with which a job could act
// as any agent of its Buildkite cluster; the platform's own; and those with
// git's credentials, outside checkout. There is no plan of a pod that another
// version injected.
func (c Config) protections(plan *Plan) []protection {
	tokens := []string{c.AgentTokenSecret}
	for _, pattern := range c.tokenSecrets().Allow {
		if pattern != "*" {
			tokens = append(tokens, pattern)
		}
	}
	credentials := gitCredentials(nil, c.DefaultCheckoutParams.GitCredentialsSecret)
	if plan != nil {
		tokens = append(tokens, plan.AgentTokenSecret)
		for _, volume := range plan.Volumes {
			if volume.Name == contract.GitCredentialsVolume && volume.Secret != nil {
				credentials = append(credentials, volume.Secret.SecretName)
			}
		}
	}
	return []protection{
		{patterns: tokens, sentence: "this Secret holds the agent's token, which jobs may not have; remove the reference"},
		{patterns: c.ProtectedSecrets, sentence: "this Secret is the platform's, and jobs may not have it; remove the reference, or ask your platform team"},
		{patterns: credentials, checkoutMay: true, sentence: "this Secret holds git's credentials, which only checkout may have; remove the reference"},
	}
}

func gitCredentials(names []string, secret *GitCredentialsSecret) []string {
	if secret != nil && secret.SecretName != "" {
		names = append(names, secret.SecretName)
	}
	return names
}

// secretReferences refuses references to protected Secrets from all that users
// wrote: the first pass looks at the plugin too, the second at what others have
// added to the pod since.
func (c Config) secretReferences(pod *corev1.Pod, plugin plugin, plan *Plan) field.ErrorList {
	checker := secretChecker{protections: c.protections(plan)}
	for i, container := range pod.Spec.InitContainers {
		checker.container(container, plan, initContainersPath.Index(i))
	}
	for i, container := range pod.Spec.Containers {
		checker.container(container, plan, containersPath.Index(i))
	}
	for i, volume := range pod.Spec.Volumes {
		if !isInjectedVolume(volume.Name, plan) {
			checker.check(volume, volumesPath.Index(i), false, nil)
		}
	}
	checker.check(map[string]any{"imagePullSecrets": pod.Spec.ImagePullSecrets}, specPath, false, nil)

	// What the patch does is in the pod by now; checkout has its own rules.
	checkout := plugin.Checkout
	plugin.PodSpecPatch, plugin.Checkout = nil, CheckoutParams{}
	checker.check(plugin, pluginPath, false, nil)
	checker.check(checkout, pluginPath.Child("checkout"), true, namesOf(secretsIn(c.DefaultCheckoutParams, nil)))
	return checker.errs
}

// isInjectedVolume reports whether a volume is ours, which the steps look after.
func isInjectedVolume(name string, plan *Plan) bool {
	if plan == nil {
		return strings.HasPrefix(name, contract.VolumePrefix)
	}
	return name == contract.AgentTokenVolume ||
		slices.ContainsFunc(plan.Volumes, func(volume corev1.Volume) bool { return volume.Name == name })
}

type secretChecker struct {
	protections []protection
	errs        field.ErrorList
}

// container checks a container. What the platform's settings put into an
// injected one is on record; another version's record is its own affair.
func (c *secretChecker) container(container corev1.Container, plan *Plan, path *field.Path) {
	var recorded []string
	injected := slices.Contains(reservedContainers, container.Name)
	if injected && plan == nil {
		return
	}
	if injected {
		recorded = namesOf(secretsIn(plan.Injected[container.Name], nil))
		if container.Name == contract.CheckoutContainer {
			recorded = append(recorded, namesOf(secretsIn(plan.Checkout, nil))...)
		}
	}
	c.check(container, path, container.Name == contract.CheckoutContainer, recorded)
}

func (c *secretChecker) check(value any, path *field.Path, inCheckout bool, exempt []string) {
	for _, reference := range secretsIn(value, path) {
		for _, protection := range c.protections {
			permitted := inCheckout && protection.checkoutMay || slices.Contains(exempt, reference.name)
			if protection.protects(reference.name) && !permitted {
				c.errs = append(c.errs, field.Forbidden(reference.path, protection.sentence))
				break
			}
		}
	}
}

func (p protection) protects(name string) bool {
	return slices.ContainsFunc(p.patterns, func(pattern string) bool { return matchesPattern(pattern, name) })
}

// privateVolumes are mounted in one container each.
var privateVolumes = map[string]string{
	contract.AgentTokenVolume:     contract.AgentContainer,
	contract.GitCredentialsVolume: contract.CheckoutContainer,
	contract.SSHVolume:            contract.CheckoutContainer,
}

// privateMounts refuses mounts of volumes with secrets in containers that came
// after the first pass, which refuses all mounts of injected volumes.
func privateMounts(pod *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	check := func(containers []corev1.Container, path *field.Path) {
		for i, container := range containers {
			for j, mount := range container.VolumeMounts {
				if owner, private := privateVolumes[mount.Name]; private && container.Name != owner {
					errs = append(errs, field.Forbidden(path.Index(i).Child("volumeMounts").Index(j).Child("name"),
						"only the container "+owner+" may have this volume; remove the mount"))
				}
			}
		}
	}
	check(pod.Spec.InitContainers, initContainersPath)
	check(pod.Spec.Containers, containersPath)
	return errs
}

// secretReference is the name of a Secret and where it stands.
type secretReference struct {
	name string
	path *field.Path
}

func namesOf(references []secretReference) []string {
	var names []string
	for _, reference := range references {
		names = append(names, reference.name)
	}
	return names
}

// secretsIn finds the references to Secrets in a value. The walk is over the
// JSON form, so that a kind of reference that Kubernetes adds later is found too.
func secretsIn(value any, path *field.Path) []secretReference {
	text, err := json.Marshal(value)
	if err != nil {
		// Every value here was decoded from JSON.
		panic("encode part of a pod: " + err.Error())
	}
	// Most containers and volumes have none.
	if !mentionsSecret(text) {
		return nil
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		panic("decode part of a pod: " + err.Error())
	}
	if path == nil {
		path = field.NewPath("")
	}
	var finder secretFinder
	finder.visit(tree, path, false)
	return finder.found
}

// secretWord is in the names of all fields that refer to Secrets, and
// secretProviderClass is one that refers to something else.
const (
	secretWord          = "secret"
	secretProviderClass = "secretProviderClass"
)

// mentionsSecret reports whether a text has the word in it, in letters of any case.
func mentionsSecret(text []byte) bool {
	for i := range len(text) - len(secretWord) + 1 {
		if text[i]|0x20 == secretWord[0] && strings.EqualFold(string(text[i:i+len(secretWord)]), secretWord) {
			return true
		}
	}
	return false
}

type secretFinder struct {
	found []secretReference
}

// visit goes through a tree; inSecret says that the parent's key speaks of a
// Secret, so that a name in it is one.
func (f *secretFinder) visit(tree any, path *field.Path, inSecret bool) {
	switch node := tree.(type) {
	case []any:
		for i, child := range node {
			f.visit(child, path.Index(i), inSecret)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			child := node[key]
			name, isString := child.(string)
			speaksOfSecret := strings.Contains(strings.ToLower(key), secretWord) && key != secretProviderClass
			if isString && name != "" && (speaksOfSecret || inSecret && key == "name") {
				f.found = append(f.found, secretReference{name, path.Child(key)})
			}
			if !isString {
				f.visit(child, path.Child(key), speaksOfSecret)
			}
		}
	}
}

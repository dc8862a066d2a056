package mutator

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// specPatch is a strategic merge patch of a pod's spec whose form was checked.
type specPatch struct {
	// pod is the part for what the pod has of its own.
	pod map[string]any
	// injected is the part for injected containers, by their names.
	injected map[string]containerPatch
}

// containerPatch is the part of a patch for one injected container.
type containerPatch struct {
	path *field.Path
	tree map[string]any
}

// patchRules are what the owner of a patch may do with it.
type patchRules struct {
	// injected are the fields of injected containers that may be patched.
	injected []string
	// gates says that scheduling gates may be.
	gates bool
}

var (
	platformRules = patchRules{injected: []string{"env", "envFrom", "resources", "volumeMounts"}, gates: true}
	authorRules   = patchRules{injected: []string{"resources"}}
)

// keptLists are lists whose elements a patch can change and add to but not
// remove, with what they hold.
var keptLists = map[string]string{"containers": "containers", "initContainers": "init containers", "volumes": "volumes"}

// injectedLists are the injected containers of each list.
var injectedLists = map[string][]string{
	"containers":     {contract.AgentContainer, contract.CheckoutContainer},
	"initContainers": {contract.InstallContainer},
}

// parseSpecPatch reads a patch: every field must be known and of its type, and
// there are no directives, which could remove or reorder what others wrote.
func parseSpecPatch(raw json.RawMessage, path *field.Path, rules patchRules) (specPatch, field.ErrorList) {
	if isNull(raw) {
		return specPatch{}, nil
	}
	check := patchCheck{rules: rules}
	var typed corev1.PodSpec
	types := decoder{}
	types.decode(raw, reflect.ValueOf(&typed).Elem(), path)
	check.errs = types.errs
	for _, one := range types.unknown {
		if !strings.Contains(one.path.String(), ".$") {
			check.errs = append(check.errs, field.Forbidden(one.path, one.patchSentence()))
		}
	}
	var tree map[string]any
	if err := kjson.Unmarshal(raw, &tree); err != nil {
		return specPatch{}, check.errs
	}
	check.object(tree, podSpecSchema(), path)
	check.spec(tree, &typed, path)
	injected := check.split(tree, path)
	if len(check.errs) > 0 {
		return specPatch{}, check.errs
	}
	return specPatch{pod: tree, injected: injected}, nil
}

// patchSentence says what to do about a field of a newer Kubernetes, too: the
// merge goes through this program's types, where the pod's own fields do not.
func (u unknownField) patchSentence() string {
	if u.nearest != "" {
		return u.sentence()
	}
	return "unknown to this version of the mutator, which must know what it merges; write the field into the pod's own spec"
}

type patchCheck struct {
	rules patchRules
	errs  field.ErrorList
}

func (c *patchCheck) refuse(err *field.Error) { c.errs = append(c.errs, err) }

// object checks what can be told from the form alone.
func (c *patchCheck) object(tree map[string]any, of schema, path *field.Path) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		at := child(path, name)
		if strings.HasPrefix(name, "$") {
			c.refuse(field.Forbidden(at, "a patch has no directives here; null removes a field, and lists keep their order"))
			continue
		}
		switch value := tree[name].(type) {
		case map[string]any:
			c.object(value, objectMerge(of, name), at)
		case []any:
			c.list(value, of, name, at)
		}
	}
}

// list checks that every element says which one of the pod's it is about.
func (c *patchCheck) list(list []any, of schema, name string, path *field.Path) {
	var elements schema
	key := ""
	if of != nil {
		elements, key = listMerge(of, name)
	}
	seen := sets.New[string]()
	for i, element := range list {
		object, isObject := element.(map[string]any)
		if isObject {
			c.object(object, elements, path.Index(i))
		}
		if element == nil {
			c.refuse(invalid(path.Index(i), "null is no element; a patch changes and adds elements, and does not remove them"))
			continue
		}
		if key == "" {
			continue
		}
		value := object[key]
		text := fmt.Sprint(value)
		switch {
		case !isObject:
			// The type of the list says so already.
		case value == nil || text == "":
			c.refuse(field.Required(path.Index(i).Child(key), "it says which element the patch is about"))
		case seen.Has(text):
			c.refuse(field.Duplicate(path.Index(i).Child(key), value))
		}
		seen.Insert(text)
	}
}

// spec checks what a patch may do to a pod that runs a job.
func (c *patchCheck) spec(tree map[string]any, typed *corev1.PodSpec, path *field.Path) {
	for _, name := range slices.Sorted(maps.Keys(keptLists)) {
		if value, exists := tree[name]; exists && value == nil {
			c.refuse(field.Forbidden(path.Child(name), "a patch changes and adds "+keptLists[name]+"; it does not remove them"))
		}
	}
	if policy := typed.RestartPolicy; policy != "" && policy != corev1.RestartPolicyNever {
		c.refuse(field.Invalid(path.Child("restartPolicy"), policy, "a job runs once; remove the field"))
	}
	if _, exists := tree["schedulingGates"]; exists && !c.rules.gates {
		c.refuse(field.Forbidden(path.Child("schedulingGates"), "scheduling gates are the platform's; remove the field"))
	}
	if _, exists := tree["ephemeralContainers"]; exists {
		c.refuse(field.Forbidden(path.Child("ephemeralContainers"), "a new pod has none; remove the field"))
	}
	for i, volume := range typed.Volumes {
		if strings.HasPrefix(volume.Name, contract.VolumePrefix) {
			c.refuse(field.Invalid(path.Child("volumes").Index(i).Child("name"), volume.Name,
				fmt.Sprintf("names that begin with %s are reserved for injected volumes; rename yours", contract.VolumePrefix)))
		}
	}
	c.reserved("containers", typed.Containers, path)
	c.reserved("initContainers", typed.InitContainers, path)
}

func (c *patchCheck) reserved(list string, containers []corev1.Container, path *field.Path) {
	for i, container := range containers {
		if slices.Contains(reservedContainers, container.Name) && !slices.Contains(injectedLists[list], container.Name) {
			c.refuse(field.Invalid(path.Child(list).Index(i).Child("name"), container.Name, "the injected container of this name is in another list"))
		}
	}
}

// split takes the parts for injected containers out of a patch.
func (c *patchCheck) split(tree map[string]any, path *field.Path) map[string]containerPatch {
	injected := map[string]containerPatch{}
	for _, list := range containerListNames {
		elements, isList := tree[list].([]any)
		if !isList {
			continue
		}
		var others []any
		for i, element := range elements {
			container, _ := element.(map[string]any)
			name, _ := container["name"].(string)
			if !slices.Contains(injectedLists[list], name) {
				others = append(others, element)
				continue
			}
			part := containerPatch{path: path.Child(list).Index(i), tree: container}
			c.injected(part)
			injected[name] = part
		}
		delete(tree, list)
		if len(others) > 0 {
			tree[list] = others
		}
	}
	return injected
}

// injected refuses what the owner of the patch may not change.
func (c *patchCheck) injected(part containerPatch) {
	for _, name := range slices.Sorted(maps.Keys(part.tree)) {
		if name != "name" && !strings.HasPrefix(name, "$") && !slices.Contains(c.rules.injected, name) {
			c.refuse(field.Forbidden(part.path.Child(name),
				"of an injected container a patch may change "+strings.Join(c.rules.injected, ", ")+"; remove the field"))
		}
	}
}

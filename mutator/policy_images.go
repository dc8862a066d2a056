package mutator

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// images is about what runs.
func (i *inspection) images() {
	if list := i.policy.Images.or(everything); !list.permitsAll() {
		for _, container := range i.containers {
			// Without an image a job container gets the platform's.
			if container.Image != "" {
				i.image("images", list, container.Image, container.path.Child("image"))
			}
		}
		for index, volume := range i.pod.Spec.Volumes {
			if volume.Image != nil {
				i.image("images", list, volume.Image.Reference, volumesPath.Index(index).Child("image", "reference"))
			}
		}
	}
	if image, set := i.pod.Annotations[contract.AgentImageAnnotation]; set {
		own := PolicyList{Allow: []string{normalImage(i.config.AgentImage).repository()}}
		i.image("agentImages", i.policy.AgentImages.or(own), image, annotationsPath.Key(contract.AgentImageAnnotation))
	}
	if secret, set := i.pod.Annotations[contract.AgentTokenSecretAnnotation]; set {
		i.listed("agentTokenSecrets", i.config.tokenSecrets(), secret, annotationsPath.Key(contract.AgentTokenSecretAnnotation))
	}
}

func (i *inspection) image(rule string, list PolicyList, image string, path *field.Path) {
	reference := normalImage(image)
	if objection := list.objectionBy(reference.String(), matchesImage); objection != "" {
		i.add(rule, reference.String(), path, objection)
	}
}

// imageReference is an image as container runtimes read it.
type imageReference struct {
	registry, path string
	// version is the tag or digest, or both, with the : or @ before it.
	version string
}

func (r imageReference) String() string { return r.repository() + r.version }

func (r imageReference) repository() string { return r.registry + "/" + r.path }

// normalImage fills in what may be left out of an image's name, as container
// runtimes do.
func normalImage(image string) imageReference {
	registry, path, found := strings.Cut(image, "/")
	isHost := strings.ContainsAny(registry, ".:") || registry == "localhost" || strings.ToLower(registry) != registry
	if !found || !isHost {
		registry, path = "docker.io", image
	}
	// A host's case does not count, and this one has two names.
	registry = strings.ToLower(registry)
	if registry == "index.docker.io" {
		registry = "docker.io"
	}
	if registry == "docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	reference := imageReference{registry: registry, path: path, version: ":latest"}
	if end := strings.IndexAny(path, ":@"); end >= 0 {
		reference.path, reference.version = path[:end], path[end:]
	}
	return reference
}

// matchesImage compares the registry with the pattern's registry, so that
// example.com/* is not evil.example.com.org/x, and the rest with its rest. A
// pattern without a tag stands for all of them.
func matchesImage(pattern, image string) bool {
	if pattern == "*" {
		return true
	}
	registry, rest, _ := strings.Cut(pattern, "/")
	reference := normalImage(image)
	return matchesPattern(registry, reference.registry) &&
		(matchesPattern(rest, reference.path) || matchesPattern(rest, reference.path+reference.version))
}

// tokenSecrets are the Secrets that may be an agent's token.
func (c Config) tokenSecrets() PolicyList {
	return c.Policy.AgentTokenSecrets.or(PolicyList{Allow: []string{c.AgentTokenSecret}})
}

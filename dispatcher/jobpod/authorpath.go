package jobpod

import (
	"regexp"
	"strings"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// authorPlaces maps where things are in a pod to where a pipeline's author
// wrote them. The first prefix that fits is used.
var authorPlaces = []struct{ pod, author string }{
	{pod: "metadata.annotations[" + contract.PluginAnnotation + "]", author: pluginPath.String()},
	{pod: "metadata.annotations[" + contract.ImageAnnotation + "]", author: "image"},
	{pod: "metadata.annotations[" + contract.ResourceClassAnnotation + "]", author: "agents." + ResourceClassKey},
	{pod: "metadata.labels", author: metadataPath.Child("labels").String()},
	{pod: "metadata.annotations", author: metadataPath.Child("annotations").String()},
	{pod: "spec", author: podSpecPath.String()},
}

// AuthorPath translates a field's path in the pod into its path in the
// pipeline step: spec.containers[0].image is what the author wrote under
// plugins.kubernetes.podSpec.containers[0].image. Other paths are returned as
// they are.
func AuthorPath(path string) string {
	for _, place := range authorPlaces {
		rest, found := strings.CutPrefix(path, place.pod)
		if found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return place.author + rest
		}
	}
	return path
}

// podPath finds paths of pod fields in a sentence.
var podPath = regexp.MustCompile(`\b(?:spec|metadata)(?:\.[A-Za-z][A-Za-z0-9]*|\[[^\]\s]+\])+`)

// AuthorSentence translates the paths in a sentence of the API server.
func AuthorSentence(sentence string) string {
	return podPath.ReplaceAllStringFunc(sentence, AuthorPath)
}

package install

import (
	"regexp"
	"strings"
	"testing"
)

// TestKustomizeExample builds the example of an installation by kustomize: the
// dispatcher mounts the example's configuration, whose name changes with it. The
// end-to-end tests apply what it is made from.
func TestKustomizeExample(t *testing.T) {
	built := kubectl(t, "kustomize", "../../manifests/examples/install")
	names := regexp.MustCompile(`name: (dispatcher-config-[a-z0-9]{10})\n`).FindAllStringSubmatch(built, -1)
	if len(names) != 2 || names[0][1] != names[1][1] {
		t.Errorf("ConfigMap and Deployment have the names %q, want the same", names)
	}
	for _, want := range []string{"org: my-organization\n", "kind: Certificate\n", "name: 00-buildkite-mutator\n"} {
		if !strings.Contains(built, want) {
			t.Errorf("the example lacks %q", want)
		}
	}
}

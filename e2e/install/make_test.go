package install

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
)

const (
	versionMade    = "v0.3.0"
	madeRepository = cluster.Registry + "/made"
	madeRelease    = "agent-stack-k8s"
	madeNamespace  = "buildkite"
)

// TestMakeDeploy goes from a checkout to a job that passes, with what the Makefile
// offers to those who have changed something.
func TestMakeDeploy(t *testing.T) {
	environment := append(os.Environ(),
		"KO_DOCKER_REPO="+madeRepository, "KO_DEFAULTBASEIMAGE="+pushBase(t), "VERSION="+versionMade,
		// The other platform is another half of the time, and nothing new.
		"KO_FLAGS=--platform=linux/"+runtime.GOARCH,
		"CHART_REPO=oci://"+madeRepository+"/charts", "HELM_FLAGS=--plain-http",
		"KUBECONFIG="+kube.Kubeconfig, "HELM_KUBECONTEXT="+kube.Context,
	)
	runMake(t, environment, "chart-push")
	if shown := mustHelm(t, "show", "chart", "oci://"+madeRepository+"/charts/agent-stack-k8s", "--plain-http"); !strings.Contains(shown, "version: 0.3.0") || !strings.Contains(shown, "appVersion: "+versionMade) {
		t.Errorf("the chart in the registry is\n%s", shown)
	}
	t.Cleanup(func() {
		_, _ = helm(context.Background(), "uninstall", madeRelease, "--namespace", madeNamespace, "--ignore-not-found", "--wait")
		_, _ = kube.Run(context.Background(), "delete", "namespace", madeNamespace, "--ignore-not-found")
	})
	runMake(t, environment, "deploy", "ARGS=--values="+madeValues(t))
	for _, image := range []string{"dispatcher", "mutator", "entrypoint"} {
		hasBill(t, madeRepository+"/"+image+":"+versionMade)
	}
	build := start(t, oneJob)
	ends(t, build, "passed")
	injected := kubectl(t, "-n", madeNamespace+"-jobs", "get", "pods", "-l", "buildkite.com/job-uuid="+build.Commands()[0].UUID, "-o", `jsonpath={.items[*].metadata.annotations.buildkite\.com/injected}`)
	if !strings.Contains(injected, `"version":"`+versionMade+`"`) {
		t.Errorf("the mutator that was built has not injected: %s", injected)
	}
}

func runMake(t *testing.T, environment []string, arguments ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "make", append([]string{"-C", "../.."}, arguments...)...)
	command.Env = environment
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s\n%s", arguments[0], err, output, clusterState())
	}
}

// madeValues are those of a release but for the images that make builds.
func madeValues(t *testing.T) string {
	t.Helper()
	values := settings("kubernetes")
	for _, image := range []string{"dispatcher", "mutator", "entrypoint"} {
		delete(values, image)
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// pushBase makes an empty image that stands in for the base in .ko.yaml, whose
// registry these tests do not need to reach.
func pushBase(t *testing.T) string {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: v1.Config{User: "65532"}})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(madeRepository + "/base:empty")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return tag.String()
}

// hasBill: beside an image lies what it is made of, where cosign looks for it.
func hasBill(t *testing.T, image string) {
	t.Helper()
	reference, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := remote.Get(reference, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	digests := []v1.Hash{descriptor.Digest}
	if descriptor.MediaType.IsIndex() {
		// Each platform's image has its own.
		index, err := descriptor.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		digests = nil
		for _, one := range manifest.Manifests {
			digests = append(digests, one.Digest)
		}
	}
	for _, digest := range digests {
		packages := billOf(t, reference.Context().Tag(digest.Algorithm+"-"+digest.Hex+".sbom"))
		for _, want := range []string{"github.com/buildkite/agent-stack-k8s", "golang.org/x/sys"} {
			if !slices.ContainsFunc(packages, func(name string) bool { return strings.HasPrefix(name, want) }) {
				t.Errorf("the bill of materials of %s (%s) lacks %s: %s", image, digest, want, packages)
			}
		}
	}
}

// billOf reads the names of an SPDX document's packages.
func billOf(t *testing.T, tag name.Tag) []string {
	t.Helper()
	image, err := remote.Image(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%s has %d layers (%v)", tag, len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Version  string `json:"spdxVersion"`
		Packages []struct {
			Name string `json:"name"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &document); err != nil || document.Version == "" {
		t.Fatalf("%s is no SPDX document (%v)", tag, err)
	}
	var names []string
	for _, one := range document.Packages {
		names = append(names, one.Name)
	}
	return names
}

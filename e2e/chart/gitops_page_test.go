package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// TestGitOpsPage builds the page's kustomization over this checkout's manifests,
// and renders the chart with the values of its Application of Argo CD's.
func TestGitOpsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlocks.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples on the page", len(blocks))
	}
	t.Run("Kustomize", func(t *testing.T) { buildKustomization(t, blocks[0][1]) })
	t.Run("ArgoCD", func(t *testing.T) {
		var application struct {
			Spec struct {
				Destination struct {
					Namespace string `json:"namespace"`
				} `json:"destination"`
				Source struct {
					RepoURL string `json:"repoURL"`
					Chart   string `json:"chart"`
					Helm    struct {
						ValuesObject map[string]any `json:"valuesObject"`
					} `json:"helm"`
				} `json:"source"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(blocks[1][1]), &application); err != nil {
			t.Fatal(err)
		}
		source := application.Spec.Source
		if got := "oci://" + source.RepoURL + "/" + source.Chart; got != published {
			t.Errorf("the chart is %s, want %s", got, published)
		}
		rendered, err := Render(directory, Options{Namespace: application.Spec.Destination.Namespace, Values: source.Helm.ValuesObject, APIVersions: certManager})
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, rendered); got.dispatcher["org"] != "my-organization" {
			t.Errorf("the dispatcher has %v", got.dispatcher)
		}
	})
}

// published manifests are referred to by version; here they are this checkout's.
var publishedManifests = regexp.MustCompile(`https://github.com/buildkite/agent-stack-k8s/(manifests/\S+)\?ref=v[0-9.]+`)

func buildKustomization(t *testing.T, text string) {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "manifests"), os.DirFS("../../manifests")); err != nil {
		t.Fatal(err)
	}
	local := publishedManifests.ReplaceAllString(text, "../$1")
	if local == text {
		t.Fatal("the kustomization refers to no published manifests")
	}
	overlay := filepath.Join(root, "overlay")
	if err := os.Mkdir(overlay, 0o755); err != nil {
		t.Fatal(err)
	}
	build := func(configuration string) string {
		for name, content := range map[string]string{"kustomization.yaml": local, "dispatcher-config.yaml": configuration} {
			if err := os.WriteFile(filepath.Join(overlay, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
		if err != nil {
			t.Fatal(err)
		}
		text, err := built.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	name := regexp.MustCompile(`name: (dispatcher-config-[a-z0-9]{10})\n`)
	var names []string
	for _, configuration := range []string{"org: acme\n", "org: another\n"} {
		built := build(configuration)
		found := name.FindAllStringSubmatch(built, -1)
		if len(found) != 2 || found[0][1] != found[1][1] {
			t.Fatalf("ConfigMap and Deployment have the names %q, want the same", found)
		}
		names = append(names, found[0][1])
		if !strings.Contains(built, configuration) || !strings.Contains(built, "kind: Certificate\n") {
			t.Errorf("the configuration or the certificate is missing in\n%s", built)
		}
	}
	if names[0] == names[1] {
		t.Error("another configuration rolls nothing out: the ConfigMap keeps its name")
	}
}

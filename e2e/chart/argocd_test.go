package chart

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// application is what of Argo CD's Application the example uses. Source:
// pkg/apis/application/v1alpha1/types.go of github.com/argoproj/argo-cd.
type application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Project     string `json:"project"`
		Destination struct {
			Server    string `json:"server"`
			Namespace string `json:"namespace"`
		} `json:"destination"`
		Source struct {
			RepoURL        string `json:"repoURL"`
			Chart          string `json:"chart"`
			TargetRevision string `json:"targetRevision"`
			Helm           struct {
				ValuesObject map[string]any `json:"valuesObject"`
			} `json:"helm"`
		} `json:"source"`
		SyncPolicy struct {
			Automated struct {
				Prune    bool `json:"prune"`
				SelfHeal bool `json:"selfHeal"`
			} `json:"automated"`
			SyncOptions []string `json:"syncOptions"`
		} `json:"syncPolicy"`
		IgnoreDifferences []struct {
			Group             string   `json:"group"`
			Kind              string   `json:"kind"`
			JQPathExpressions []string `json:"jqPathExpressions"`
		} `json:"ignoreDifferences"`
	} `json:"spec"`
}

// TestArgoCDApplication renders the chart as Argo CD would for the example, which
// the page on GitOps shows.
func TestArgoCDApplication(t *testing.T) {
	text, err := os.ReadFile("../../manifests/examples/argocd-application.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example application
	if err := yaml.UnmarshalStrict(text, &example); err != nil {
		t.Fatal(err)
	}
	if example.APIVersion != "argoproj.io/v1alpha1" || example.Kind != "Application" || example.Spec.Source.Chart != "agent-stack-k8s" {
		t.Errorf("%s %s of the chart %s", example.APIVersion, example.Kind, example.Spec.Source.Chart)
	}
	rendered, err := Render(directory, Options{
		Release: example.Name, Namespace: example.Spec.Destination.Namespace, Values: example.Spec.Source.Helm.ValuesObject, APIVersions: certManager,
	})
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, rendered)
	for _, ignored := range example.Spec.IgnoreDifferences {
		found := false
		for _, one := range all {
			found = found || one.GetKind() == ignored.Kind && one.GroupVersionKind().Group == ignored.Group
		}
		if !found {
			t.Errorf("there is no %s in %s", ignored.Kind, ignored.Group)
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "Secret/") {
			t.Errorf("%s is among what Git holds", name)
		}
	}
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(text), "apiVersion:")
	if manifest == "" || !strings.Contains(string(page), manifest) {
		t.Error("docs/gitops.md shows another application")
	}
}

package install

import (
	"context"
	"strings"
	"testing"
)

// certManagerAbsent: on a cluster without cert-manager, installing says what is
// missing and makes nothing. The cluster has none for as long as it serves none of
// its kinds.
func certManagerAbsent(t *testing.T) {
	definitions := strings.Fields(kubectl(t, "get", "customresourcedefinitions", "-o", `jsonpath={.items[?(@.spec.group=="cert-manager.io")].metadata.name}`))
	if len(definitions) < 4 {
		t.Fatalf("cert-manager's kinds are only %s", definitions)
	}
	serve := func(served string) error {
		for _, definition := range definitions {
			patch := `[{"op": "replace", "path": "/spec/versions/0/served", "value": ` + served + `}]`
			if _, err := kube.Run(context.Background(), "patch", "customresourcedefinition", definition, "--type=json", "-p", patch); err != nil {
				return err //nolint:wrapcheck // it names the command
			}
		}
		return nil
	}
	isServed := func(ctx context.Context) (bool, error) {
		versions, err := kube.Run(ctx, "api-versions")
		return strings.Contains("\n"+versions, "\ncert-manager.io/v1\n"), err //nolint:wrapcheck // it names the command
	}
	t.Cleanup(func() {
		if err := serve("true"); err != nil {
			t.Error(err)
		}
	})
	if err := serve("false"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster to be without cert-manager", func(ctx context.Context) (bool, error) {
		served, err := isServed(ctx)
		return !served, err
	})

	const bare = "without-cert-manager"
	_, err := helm(t.Context(), "install", release, chartReference, "--version", versionN, "--plain-http", "--create-namespace", "--namespace", bare,
		"--set", "config.org="+organization, "--set", "agentToken="+agentToken, "--set", "graphqlToken="+graphqlToken)
	if err == nil {
		t.Fatal("the release is installed")
	}
	t.Log(err)
	for _, want := range []string{"this cluster has no cert-manager (cert-manager.io/v1)", "install cert-manager first: https://cert-manager.io/docs/installation/helm/", "tls.existingSecret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("helm does not say %q: %v", want, err)
		}
	}
	if made := kubectl(t, "get", "namespace", bare, bare+"-jobs", "--ignore-not-found", "-o", "name"); made != "" {
		t.Errorf("left behind: %s", made)
	}
	if err := serve("true"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster to have cert-manager again", isServed)
}

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// clusterWide lists all objects that are in no namespace.
func clusterWide(ctx context.Context, t *testing.T) []string {
	t.Helper()
	all := list(ctx, t, "--namespaced=false")
	if len(all) < 50 {
		t.Fatalf("a cluster has more than these: %s", all)
	}
	return all
}

// list lists all objects of the kinds that api-resources chooses. Events come and
// go by themselves, and the status of components is no object.
func list(ctx context.Context, t *testing.T, chosen string, arguments ...string) []string {
	t.Helper()
	output, err := kube.Run(ctx, "api-resources", chosen, "--verbs=list,create", "-o", "name")
	if err != nil {
		t.Fatal(err)
	}
	kinds := slices.DeleteFunc(strings.Fields(output), func(kind string) bool { return strings.HasPrefix(kind, "events") })
	output, err = kube.Run(ctx, append([]string{"get", strings.Join(kinds, ","), "-o", "name", "--ignore-not-found"}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(output)
}

// uninstall leaves nothing but the release's own namespace, which Helm made and
// never removes, with what docs/install.md names.
func uninstall(t *testing.T, before []string) {
	if during := clusterWide(t.Context(), t); len(during) < len(before)+5 {
		t.Errorf("installed, the cluster has %d objects, and it had %d", len(during), len(before))
	}
	mustHelm(t, "uninstall", release, "--namespace", namespace, "--wait")
	eventually(t, "the release to be gone", func(ctx context.Context) (bool, error) {
		left := slices.DeleteFunc(clusterWide(ctx, t), func(object string) bool { return slices.Contains(before, object) })
		if !slices.Equal(left, []string{"namespace/" + namespace}) {
			return false, fmt.Errorf("left behind: %s", left)
		}
		return true, nil
	})
	want := []string{
		"configmap/kube-root-ca.crt", "serviceaccount/default", // Kubernetes' own
		"secret/" + fullname + "-mutator-ca", "secret/" + fullname + "-mutator-tls", // cert-manager's
		"lease.coordination.k8s.io/dispatcher-" + namespace + "." + fullname, // who led last
	}
	slices.Sort(want)
	// Pods take their time to end.
	eventually(t, "the release's namespace to be empty", func(ctx context.Context) (bool, error) {
		left := list(ctx, t, "--namespaced=true", "-n", namespace)
		slices.Sort(left)
		if !slices.Equal(left, want) {
			return false, fmt.Errorf("left behind: %s, want %s", left, want)
		}
		return true, nil
	})
}

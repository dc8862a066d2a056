package endtoend

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// claimDirectory makes a claim that outlives pods: a directory of this machine
// behind a volume of the cluster. The namespace enforces the baseline Pod
// Security Standard, which knows no hostPath in pods.
func claimDirectory(t *testing.T, name string) {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RunInput(t.Context(), `
apiVersion: v1
kind: PersistentVolume
metadata: {name: `+name+`}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  claimRef: {name: `+name+`, namespace: `+jobNamespace+`}
  hostPath: {path: `+directory+`, type: Directory}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: `+name+`, namespace: `+jobNamespace+`}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  resources: {requests: {storage: 1Gi}}
  volumeName: `+name+`
`, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "pvc", name, "--wait=false", "--ignore-not-found")
		_, _ = kube.Run(context.Background(), "delete", "pv", name, "--wait=false", "--ignore-not-found")
	})
}

func TestGitMirrors(t *testing.T) {
	t.Parallel()
	claimDirectory(t, "git-mirrors")
	installMutator(t, "mirrors", map[string]any{"defaultCheckoutParams": map[string]any{"gitMirrors": map[string]any{
		"volume": map[string]any{"persistentVolumeClaim": map[string]any{"claimName": "git-mirrors"}},
	}}})
	options := podOptions{
		labels: "buildkite.com/mutator: mirrors", image: "@GIT@", spec: "securityContext: {runAsUser: 0}",
		// Only checkout has the mirrors; the clone must be whole without them.
		command: `ls -d /buildkite/git-mirrors .git/objects/info/alternates 2> /dev/null || echo "no mirror here"
git fsck --connectivity-only
git --no-pager log -1 --format="%s, without a mirror"
echo delivered > report.txt`,
	}
	first := start(t, manualStep)
	runByHand(t, first, options)
	first.job(t, "manual").logs(t, "Cloning a mirror of the repository to", "\nno mirror here\n", "\nAdd files, without a mirror\n")

	second := start(t, manualStep)
	runByHand(t, second, options)
	log := second.job(t, "manual").logs(t, "Updating existing repository mirror", "--reference /buildkite/git-mirrors/", "\nno mirror here\n", "\nAdd files, without a mirror\n")
	if strings.Contains(log, "Cloning a mirror of the repository") {
		t.Errorf("the second job cloned everything again:\n%s", log)
	}
}

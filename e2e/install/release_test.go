package install

import (
	"strings"
	"testing"
	"time"
)

const (
	versionN    = "0.1.0"
	versionNext = "0.2.0"

	oneJob = "steps: [{label: one, command: echo hello from a pod, agents: {queue: kubernetes}}]"
)

// TestRelease goes through the life of one release, in order: each step finds what
// the one before it left.
func TestRelease(t *testing.T) {
	digests := map[string]string{versionN: publish(t, versionN), versionNext: publish(t, versionNext)}
	before := clusterWide(t.Context(), t)
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"FreshInstall", freshInstall},
		{"Rights", rights},
		{"NoDrift", noDrift},
		{"Doctor", examined},
		{"MutatorRolledUnderLoad", mutatorRolledUnderLoad},
		{"MutatorDeletedUnderLoad", mutatorDeletedUnderLoad},
		{"MutatorKilledUnderLoad", mutatorKilledUnderLoad},
		{"RootRotated", rootRotated},
		{"WebhookConfigurationDeleted", webhookConfigurationDeleted},
		{"QuotaAndLimitRange", quotaAndLimitRange},
		{"DrainAndEviction", drainAndEviction},
		{"SecondInstallation", secondInstallation},
		{"UpgradeAndRollback", func(t *testing.T) { upgradeAndRollback(t, digests) }},
		{"Uninstall", func(t *testing.T) { uninstall(t, before) }},
		{"CertManagerAbsent", certManagerAbsent},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.run) {
			break
		}
	}
}

// freshInstall is the README's command, from an OCI registry, to the first job that
// passes.
func freshInstall(t *testing.T) {
	begin := time.Now()
	notes := upgrade(t, release, namespace, chartReference, versionN, settings("kubernetes"))
	installed := time.Since(begin)
	for _, want := range []string{"run as pods in the namespace " + jobNamespace, "agents: {queue: kubernetes}"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	passes(t, oneJob)
	t.Logf("installed and ready after %.1f s, first job passed after %.1f s", installed.Seconds(), time.Since(begin).Seconds())
}

// rights asks the API server what each service account may do: all that it needs
// and nothing else.
func rights(t *testing.T) {
	account := func(component string) string {
		return "system:serviceaccount:" + namespace + ":" + fullname + "-" + component
	}
	cases := []struct {
		component, namespace, question string
		want                           bool
	}{
		{"dispatcher", jobNamespace, "create pods", true},
		{"dispatcher", jobNamespace, "list pods", true},
		{"dispatcher", jobNamespace, "watch pods", true},
		{"dispatcher", jobNamespace, "delete pods", true},
		{"dispatcher", jobNamespace, "patch pods", true},
		{"dispatcher", jobNamespace, "get pods/log", true},
		{"dispatcher", jobNamespace, "get podtemplates", true},
		{"dispatcher", jobNamespace, "create events.events.k8s.io", true},
		{"dispatcher", namespace, "update leases.coordination.k8s.io", true},
		{"dispatcher", jobNamespace, "get secrets", false},
		{"dispatcher", jobNamespace, "list secrets", false},
		{"dispatcher", jobNamespace, "update pods", false},
		{"dispatcher", jobNamespace, "create pods/exec", false},
		{"dispatcher", jobNamespace, "create pods/ephemeralcontainers", false},
		{"dispatcher", jobNamespace, "create jobs.batch", false},
		{"dispatcher", jobNamespace, "get configmaps", false},
		{"dispatcher", jobNamespace, "create serviceaccounts/token", false},
		{"dispatcher", namespace, "create pods", false},
		{"dispatcher", namespace, "get secrets", false},
		{"dispatcher", namespace, "get configmaps", false},
		{"dispatcher", "default", "create pods", false},
		{"dispatcher", "default", "list pods", false},
		{"dispatcher", "", "list nodes", false},
		{"dispatcher", "", "get namespaces", false},
		{"dispatcher", "", "update mutatingwebhookconfigurations.admissionregistration.k8s.io", false},
		{"mutator", jobNamespace, "get pods", false},
		{"mutator", jobNamespace, "create pods", false},
		{"mutator", jobNamespace, "get secrets", false},
		{"mutator", namespace, "get secrets", false},
		{"mutator", namespace, "get configmaps", false},
		{"mutator", namespace, "update leases.coordination.k8s.io", false},
		{"mutator", "", "get mutatingwebhookconfigurations.admissionregistration.k8s.io", false},
	}
	for _, tc := range cases {
		// kubectl takes what follows a slash for a name.
		question, subresource, _ := strings.Cut(tc.question, "/")
		arguments := append([]string{"auth", "can-i", "--as=" + account(tc.component), "--subresource=" + subresource}, strings.Fields(question)...)
		if tc.namespace != "" {
			arguments = append(arguments, "-n", tc.namespace)
		} else {
			arguments = append(arguments, "-A")
		}
		// The command fails where the answer is no.
		output, _ := kube.Run(t.Context(), arguments...)
		if got := strings.HasPrefix(output, "yes"); got != tc.want || output == "" {
			t.Errorf("may the %s %s in %q: %q, want %t", tc.component, tc.question, tc.namespace, strings.TrimSpace(output), tc.want)
		}
	}
}

// noDrift: what the release asked for is what is there, and nobody but cainjector
// has written into the webhook's configuration.
func noDrift(t *testing.T) {
	manifest := mustHelm(t, "get", "manifest", release, "--namespace", namespace)
	if output, err := kube.RunInput(t.Context(), manifest, "diff", "--server-side", "--force-conflicts", "-f", "-"); err != nil || output != "" {
		t.Errorf("kubectl diff: %v\n%s", err, output)
	}
	managers := kubectl(t, "get", "mutatingwebhookconfiguration", webhookName, "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields[*].manager}")
	for manager := range strings.FieldsSeq(managers) {
		if manager != "helm" && !strings.Contains(manager, "cainjector") {
			t.Errorf("%s has written into the webhook's configuration (%s)", manager, managers)
		}
	}
	revision := kubectl(t, "get", "mutatingwebhookconfiguration", webhookName, "-o", "jsonpath={.metadata.resourceVersion}")
	upgrade(t, release, namespace, chartReference, versionN, settings("kubernetes"))
	if again := kubectl(t, "get", "mutatingwebhookconfiguration", webhookName, "-o", "jsonpath={.metadata.resourceVersion}"); again != revision {
		t.Errorf("installing the same twice changed the webhook's configuration from %s to %s", revision, again)
	}
}

package install

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// doctor has the command line look at the release: all is well, warnings or not.
func doctor(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(bin, "agent-stack-k8s"), "doctor", "--namespace="+namespace, "--kubeconfig="+kube.Kubeconfig, "--context="+kube.Context)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("doctor: %w\n%s", err, output)
	}
	return string(output), nil
}

// examined: doctor finds the release's parts under the chart's names, and nothing
// wrong with them.
func examined(t *testing.T) {
	output, err := doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + output)
	for _, part := range []string{fullname + "-mutator", fullname + "-dispatcher", webhookName, jobNamespace} {
		if !strings.Contains(output, part) {
			t.Errorf("doctor has not looked at %s", part)
		}
	}
}

// rootRotated replaces the root's key as docs/install.md has it. Until it is over
// labelled pods are refused, and afterwards all is well.
func rootRotated(t *testing.T) {
	authority := func() string {
		return kubectl(t, "get", "mutatingwebhookconfiguration", webhookName, "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	}
	before := authority()
	kubectl(t, "-n", namespace, "delete", "secret", fullname+"-mutator-ca")
	renewCertificate(t)
	eventually(t, "another authority", func(context.Context) (bool, error) { return authority() != before, nil })
	eventually(t, "all to be well with it", func(ctx context.Context) (bool, error) {
		_, err := doctor(ctx)
		return err == nil, err
	})
	passes(t, oneJob)
}

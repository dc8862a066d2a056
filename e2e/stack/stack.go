package stack

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"
)

// Install applies everything and waits until it serves. Doing it twice changes
// only what differs.
func Install(ctx context.Context, options Options) error {
	directory, err := os.MkdirTemp("", "agent-stack-k8s-")
	if err != nil {
		return fmt.Errorf("make a directory for the overlay: %w", err)
	}
	defer os.RemoveAll(directory)

	var certificate *Certificate
	if !options.CertManager {
		made, err := NewCertificate("mutator", SystemNamespace)
		if err != nil {
			return err
		}
		certificate = &made
	}
	overlay, err := options.overlay(directory, certificate)
	if err != nil {
		return err
	}
	// Secrets come first, into namespaces that only the manifests make complete:
	// the programs find their tokens when they start.
	if _, err := options.Kubectl.RunInput(ctx, options.secrets(certificate), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	if _, err := options.Kubectl.Run(ctx, "apply", "--server-side", "--force-conflicts", "-k", overlay); err != nil {
		return err
	}
	for _, deployment := range []string{"mutator", "dispatcher"} {
		if _, err := options.Kubectl.Run(ctx, "-n", SystemNamespace, "rollout", "status", "deployment/"+deployment, "--timeout=120s"); err != nil {
			return err
		}
	}
	return options.waitForAdmission(ctx)
}

// waitForAdmission asks for a pod in a dry run until the mutator answers for it:
// a new webhook, its certificate and its endpoints reach the API server one
// after the other.
func (o Options) waitForAdmission(ctx context.Context) error {
	pod := `{apiVersion: v1, kind: Pod, metadata: {name: is-the-mutator-there, namespace: ` + JobNamespace + `, labels: {buildkite.com/inject: "true"}},
spec: {restartPolicy: Never, schedulingGates: [{name: buildkite.com/inject}], containers: [{name: job, image: none, command: ["true"]}]}}`
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		output, err := o.Kubectl.RunInput(ctx, pod, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		if err == nil && strings.Contains(output, "buildkite.com/injected:") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the mutator to answer for a pod: %w", err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (o Options) secrets(certificate *Certificate) string {
	var text strings.Builder
	for _, namespace := range []string{SystemNamespace, JobNamespace} {
		fmt.Fprintf(&text, "---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s}}\n", namespace)
	}
	secret := func(namespace, name, kind string, data map[string]string) {
		fmt.Fprintf(&text, "---\n{apiVersion: v1, kind: Secret, type: %s, metadata: {name: %s, namespace: %s}, data: {", kind, name, namespace)
		for key, value := range data {
			fmt.Fprintf(&text, "%q: %q, ", key, base64.StdEncoding.EncodeToString([]byte(value)))
		}
		text.WriteString("}}\n")
	}
	secret(SystemNamespace, "buildkite-tokens", "Opaque", map[string]string{"BUILDKITE_TOKEN": o.BuildkiteToken, "BUILDKITE_AGENT_TOKEN": o.AgentToken})
	secret(JobNamespace, "buildkite-agent-token", "Opaque", map[string]string{"BUILDKITE_AGENT_TOKEN": o.AgentToken})
	if certificate != nil {
		secret(SystemNamespace, "mutator-tls", "kubernetes.io/tls", map[string]string{"tls.crt": string(certificate.Chain), "tls.key": string(certificate.Key)})
	}
	return text.String()
}

// Uninstall removes everything that Install made, cluster-wide objects included.
func Uninstall(ctx context.Context, kubectl Kubectl) error {
	clusterWide := []string{
		"mutatingwebhookconfiguration/" + webhook,
		"validatingadmissionpolicybinding/buildkite-injected", "validatingadmissionpolicy/buildkite-injected",
		"validatingadmissionpolicybinding/buildkite-dispatcher", "validatingadmissionpolicy/buildkite-dispatcher",
		"validatingadmissionpolicybinding/buildkite-ephemeral-containers", "validatingadmissionpolicy/buildkite-ephemeral-containers",
	}
	if _, err := kubectl.Run(ctx, append([]string{"delete", "--ignore-not-found", "--wait=false"}, clusterWide...)...); err != nil {
		return err
	}
	_, err := kubectl.Run(ctx, "delete", "--ignore-not-found", "namespace", SystemNamespace, JobNamespace)
	return err
}

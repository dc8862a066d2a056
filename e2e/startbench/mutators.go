package startbench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/util/cert"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// served is a mutator with one of the two deliveries.
type served struct {
	label, delivery  string
	port, healthPort int
}

var mutators = []served{
	{initContainerMutator, mutator.DeliveryInitContainer, 8443, 8444},
	{imageVolumeMutator, mutator.DeliveryImageVolume, 8445, 8446},
}

// install makes the namespace and serves two mutators from this process, each
// with a webhook of its own, so that both deliveries run side by side. Their
// place in the API server's request is that of the installed one.
func (b *measurement) install(ctx context.Context) (stop func() error, err error) {
	directory, err := os.MkdirTemp("", "bench-start-")
	if err != nil {
		return func() error { return nil }, fmt.Errorf("make a directory for the certificate: %w", err)
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	stop = func() error {
		cancel()
		running.Wait()
		_, err := b.kubectl.Run(context.WithoutCancel(ctx), "delete", "--ignore-not-found",
			"mutatingwebhookconfiguration/"+mutators[0].label, "mutatingwebhookconfiguration/"+mutators[1].label, "namespace/"+namespace)
		return errors.Join(err, os.RemoveAll(directory))
	}
	authority, err := writeCertificate(directory)
	if err != nil {
		return stop, err
	}
	var objects strings.Builder
	fmt.Fprintf(&objects, `
{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s, labels: {buildkite.com/jobs: enabled}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: buildkite-agent-token, namespace: %[1]s}, stringData: {BUILDKITE_AGENT_TOKEN: %[2]s}}
`, namespace, agentToken)
	for _, each := range mutators {
		options, err := b.mutatorOptions(each, directory)
		if err != nil {
			return stop, err
		}
		running.Go(func() {
			if err := webhook.Run(serving, options, slog.New(slog.DiscardHandler)); err != nil && serving.Err() == nil {
				fmt.Fprintf(os.Stderr, "mutator %s: %v\n", each.label, err)
			}
		})
		objects.WriteString(each.configuration(authority))
	}
	if _, err := b.kubectl.RunInput(ctx, objects.String(), "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return stop, err
	}
	return stop, b.waitForMutators(ctx)
}

func (b *measurement) mutatorOptions(each served, directory string) (webhook.Options, error) {
	config, errs := mutator.ParseConfig(fmt.Appendf(nil, `
apiVersion: %s
kind: %s
agentImage: %s
entrypointImage: %s
agentEndpoint: %s/v3
delivery: %s
`, mutator.ConfigAPIVersion, mutator.ConfigKind, b.agentImage, b.entrypointImage, b.client.URL, each.delivery))
	if len(errs) > 0 {
		return webhook.Options{}, fmt.Errorf("read the configuration of %s: %w", each.label, errs.ToAggregate())
	}
	config.Version = "bench"
	return webhook.Options{
		Config: config, Host: cluster.NodeIP, Port: each.port, HealthPort: each.healthPort, MaxInFlight: 100,
		CertFile: filepath.Join(directory, "tls.crt"), KeyFile: filepath.Join(directory, "tls.key"),
	}, nil
}

func (s served) configuration(authority string) string {
	return fmt.Sprintf(`---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: %[1]s.example.com
  admissionReviewVersions: [v1]
  clientConfig: {url: "https://%[2]s:%[3]d%[4]s", caBundle: %[5]s}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[6]s}}
  objectSelector: {matchLabels: {buildkite.com/mutator: %[1]s}}
  reinvocationPolicy: IfNeeded
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 5
`, s.label, cluster.NodeIP, s.port, webhook.Path, authority, namespace)
}

// writeCertificate writes a serving certificate and returns its authority.
func writeCertificate(directory string) (string, error) {
	chain, key, err := cert.GenerateSelfSignedCertKey(cluster.NodeIP, nil, nil)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	for name, content := range map[string][]byte{"tls.crt": chain, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return "", fmt.Errorf("write the certificate: %w", err)
		}
	}
	return base64.StdEncoding.EncodeToString(chain), nil
}

// waitForMutators asks for a pod of each in a dry run until it is injected.
func (b *measurement) waitForMutators(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, shape := range shapes() {
		if !shape.injected() {
			continue
		}
		manifest := shape.fill(map[string]string{
			"NAME": "is-the-mutator-there", "NAMESPACE": namespace, "JOB": "01920000-0000-4000-8000-000000000000", "SHELL": "none",
		})
		for {
			output, err := b.kubectl.RunInput(ctx, manifest, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
			if err == nil && strings.Contains(output, "buildkite.com/injected:") {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for the mutator of %s: %w", shape.Name, errors.Join(err, ctx.Err()))
			case <-time.After(300 * time.Millisecond):
			}
		}
	}
	return nil
}

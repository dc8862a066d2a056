package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/stack"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// applied are the manifests that are taken as they are. The Deployments are not
// among them: their programs run as processes.
var applied = []string{"namespaces.yaml", "dispatcher-rbac.yaml", "policy-injected.yaml", "policy-dispatcher.yaml", "policy-ephemeral.yaml"}

// install applies the product's manifests, starts its mutator, and waits until the
// API server asks it.
func (p *Plane) install(ctx context.Context) error {
	kubectl := stack.Kubectl{Path: filepath.Join(p.options.Bin, "kubectl"), Kubeconfig: p.Kubeconfig, Context: ContextName}
	arguments := []string{"apply", "--server-side"}
	for _, file := range applied {
		arguments = append(arguments, "-f", filepath.Join(p.options.Manifests, "base", file))
	}
	if _, err := kubectl.Run(ctx, arguments...); err != nil {
		return err
	}
	// A controller would make it.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := p.client.CoreV1().ServiceAccounts(JobNamespace).Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the default service account: %w", err)
	}
	authority, err := p.writeMutatorFiles()
	if err != nil {
		return err
	}
	if err := p.StartMutator(ctx); err != nil {
		return err
	}
	if err := p.registerWebhook(ctx, authority); err != nil {
		return err
	}
	return p.mutator.waitFor(ctx, p.admits)
}

func (p *Plane) mutatorFile(name string) string { return filepath.Join(p.Directory, "mutator", name) }

// writeMutatorFiles returns the authority of the mutator's certificate, PEM.
func (p *Plane) writeMutatorFiles() ([]byte, error) {
	if err := os.Mkdir(p.mutatorFile(""), 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for the mutator: %w", err)
	}
	chain, key, err := cert.GenerateSelfSignedCertKey(loopback, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make the mutator's certificate: %w", err)
	}
	config := fmt.Sprintf("apiVersion: %s\nkind: %s\nagentImage: example.com/agent:1\nentrypointImage: example.com/entrypoint:1\nagentEndpoint: %s\n",
		mutator.ConfigAPIVersion, mutator.ConfigKind, p.options.AgentEndpoint)
	for name, content := range map[string][]byte{"tls.crt": chain, "tls.key": key, "config.yaml": []byte(config)} {
		if err := os.WriteFile(p.mutatorFile(name), content, 0o600); err != nil {
			return nil, fmt.Errorf("write the mutator's files: %w", err)
		}
	}
	return chain, nil
}

// StartMutator starts the mutator with the manifests' settings, but for the time
// that it goes on serving when it is asked to end: nobody takes its place.
func (p *Plane) StartMutator(ctx context.Context) (err error) {
	program := p.program("mutator", "mutator", "serve",
		"--config="+p.mutatorFile("config.yaml"),
		"--tls-cert-file="+p.mutatorFile("tls.crt"), "--tls-private-key-file="+p.mutatorFile("tls.key"),
		"--bind-address="+loopback,
		fmt.Sprintf("--port=%d", p.ports.mutator), fmt.Sprintf("--health-port=%d", p.ports.mutatorHealth),
		"--drain-delay=0s")
	program.Environment = []string{"GOMEMLIMIT=192MiB"}
	if p.mutator, err = Start(program); err != nil {
		return err
	}
	return p.mutator.waitFor(ctx, func(ctx context.Context) error {
		return get(ctx, "http://"+address(p.ports.mutatorHealth)+"/readyz")
	})
}

// StopMutator asks the mutator to end: pods cannot be created until it is back.
func (p *Plane) StopMutator() error { return p.mutator.Stop(stopPatience) }

// MutatorMetrics is the address of the mutator's metrics.
func (p *Plane) MutatorMetrics() string {
	return "http://" + address(p.ports.mutatorHealth) + "/metrics"
}

// registerWebhook registers the manifests' webhook under the process's address.
func (p *Plane) registerWebhook(ctx context.Context, authority []byte) error {
	text, err := os.ReadFile(filepath.Join(p.options.Manifests, "base", "webhook.yaml"))
	if err != nil {
		return fmt.Errorf("read the webhook: %w", err)
	}
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{}
	if err := yaml.UnmarshalStrict(text, configuration); err != nil {
		return fmt.Errorf("read webhook.yaml: %w", err)
	}
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].ClientConfig = admissionregistrationv1.WebhookClientConfig{
			URL: new("https://" + address(p.ports.mutator) + webhook.Path), CABundle: authority,
		}
	}
	if _, err := p.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("register the webhook: %w", err)
	}
	return nil
}

// admits is nil once a labelled pod comes out as a job runner, in a dry run.
func (p *Plane) admits(ctx context.Context) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "is-the-mutator-there", Labels: map[string]string{"buildkite.com/inject": "true"}},
		Spec: corev1.PodSpec{
			RestartPolicy:   corev1.RestartPolicyNever,
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "buildkite.com/inject"}},
			Containers:      []corev1.Container{{Name: "job", Image: "none", Command: []string{"true"}}},
		},
	}
	answer, err := p.client.CoreV1().Pods(JobNamespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	if answer.Annotations["buildkite.com/injected"] == "" {
		return fmt.Errorf("the mutator has not changed a pod: it has the containers %s", names(answer.Spec.Containers))
	}
	return nil
}

func names(containers []corev1.Container) string {
	var all []string
	for _, container := range containers {
		all = append(all, container.Name)
	}
	return strings.Join(all, ", ")
}

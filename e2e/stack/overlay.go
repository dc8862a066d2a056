package stack

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Names in manifests/.
const (
	SystemNamespace = "buildkite"
	JobNamespace    = "buildkite-jobs"
	webhook         = "00-buildkite-mutator"
)

// Images are references that the cluster can pull.
type Images struct {
	Agent, Entrypoint, Mutator, Dispatcher string
}

// Options say what to install.
type Options struct {
	Kubectl Kubectl
	// Manifests is the directory manifests of a checkout.
	Manifests string
	Images    Images
	// CertManager takes the webhook's certificate from cert-manager, which must
	// be running. Otherwise one is made.
	CertManager bool
	// Dispatcher holds keys of the dispatcher's configuration file, beside those
	// that every installation has.
	Dispatcher map[string]any
	// Mutator holds such keys of the mutator's.
	Mutator map[string]any
	// AgentEndpoint is where the agents find Buildkite.
	AgentEndpoint string
	// AgentToken and BuildkiteToken go into Secrets.
	AgentToken, BuildkiteToken string
}

// overlay writes a kustomization over a copy of the manifests and returns its
// directory. kustomize reads no files outside the directory, hence the copy.
func (o Options) overlay(directory string, certificate *Certificate) (string, error) {
	if err := os.CopyFS(filepath.Join(directory, "manifests"), os.DirFS(o.Manifests)); err != nil {
		return "", fmt.Errorf("copy the manifests: %w", err)
	}
	overlay := filepath.Join(directory, "overlay")
	if err := os.Mkdir(overlay, 0o700); err != nil {
		return "", fmt.Errorf("make the overlay: %w", err)
	}
	dispatcher := map[string]any{
		"namespace":            JobNamespace,
		"buildkite-token-file": "/etc/buildkite-tokens/BUILDKITE_TOKEN",
		"agent-token-file":     "/etc/buildkite-tokens/BUILDKITE_AGENT_TOKEN",
		"agent-endpoint":       o.AgentEndpoint,
	}
	maps.Copy(dispatcher, o.Dispatcher)
	mutator := map[string]any{
		"apiVersion": "buildkite.com/v1alpha1", "kind": "MutatorConfiguration",
		"agentImage": o.Images.Agent, "entrypointImage": o.Images.Entrypoint, "agentEndpoint": o.AgentEndpoint,
	}
	maps.Copy(mutator, o.Mutator)
	files := map[string]any{
		"dispatcher-config.yaml": dispatcher,
		"mutator-config.yaml":    mutator,
		"kustomization.yaml":     o.kustomization(certificate),
	}
	for name, content := range files {
		text, err := yaml.Marshal(content)
		if err != nil {
			return "", fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(overlay, name), text, 0o600); err != nil {
			return "", fmt.Errorf("write the overlay: %w", err)
		}
	}
	return overlay, nil
}

func (o Options) kustomization(certificate *Certificate) map[string]any {
	result := map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{"../manifests/base"},
		"images": []any{
			image("ghcr.io/buildkite/agent-stack-k8s/mutator", o.Images.Mutator),
			image("ghcr.io/buildkite/agent-stack-k8s/dispatcher", o.Images.Dispatcher),
		},
		"configMapGenerator": []any{
			configMap("dispatcher-config"), configMap("mutator-config"),
		},
	}
	if certificate == nil {
		result["components"] = []string{"../manifests/components/cert-manager"}
		return result
	}
	result["components"] = []string{"../manifests/components/own-certificate"}
	result["patches"] = []any{map[string]any{
		"target": map[string]any{"kind": "MutatingWebhookConfiguration", "name": webhook},
		"patch": fmt.Sprintf("- {op: replace, path: /webhooks/0/clientConfig/caBundle, value: %s}\n",
			base64.StdEncoding.EncodeToString(certificate.Authority)),
	}}
	return result
}

// image splits a reference at its tag, which follows the last slash.
func image(name, reference string) map[string]any {
	slash := strings.LastIndex(reference, "/")
	if colon := strings.LastIndex(reference, ":"); colon > slash {
		return map[string]any{"name": name, "newName": reference[:colon], "newTag": reference[colon+1:]}
	}
	return map[string]any{"name": name, "newName": reference}
}

func configMap(name string) map[string]any {
	return map[string]any{
		"name": name, "namespace": SystemNamespace, "behavior": "replace",
		"files": []string{"config.yaml=" + name + ".yaml"},
	}
}

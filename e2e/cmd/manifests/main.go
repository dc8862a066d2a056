// Command manifests writes manifests/ from the chart: what helm would install with
// default values, without Secrets, in names of its own, for kustomize and GitOps.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/chart"
)

// files says which file each template becomes, below manifests/.
var files = map[string]string{
	"namespaces.yaml":        "base/namespaces.yaml",
	"dispatcher-rbac.yaml":   "base/dispatcher-rbac.yaml",
	"dispatcher.yaml":        "base/dispatcher.yaml",
	"dispatcher-config.yaml": "base/dispatcher-config.yaml",
	"mutator.yaml":           "base/mutator.yaml",
	"mutator-config.yaml":    "base/mutator-config.yaml",
	"webhook.yaml":           "base/webhook.yaml",
	"policy-injected.yaml":   "base/policy-injected.yaml",
	"policy-dispatcher.yaml": "base/policy-dispatcher.yaml",
	"policy-ephemeral.yaml":  "base/policy-ephemeral.yaml",
	"certificates.yaml":      "components/cert-manager/certificates.yaml",
	"secrets.yaml":           "", // they are made by hand
	"podmonitor.yaml":        "", // it needs another product's types
}

// values differ from the chart's where an installation's owner has to say
// something, or kustomize does what Helm would.
var values = map[string]any{
	"plainManifests": true,
	"config": map[string]any{
		"org":           "my-organization",
		"tags":          "queue=kubernetes",
		"max-in-flight": 25,
	},
}

const heading = "# Generated from charts/agent-stack-k8s by `make manifests`.\n"

func main() {
	directory := flag.String("chart", "charts/agent-stack-k8s", "directory of the chart")
	output := flag.String("output", "manifests", "directory of the manifests")
	flag.Parse()
	if err := run(*directory, *output); err != nil {
		fmt.Fprintf(os.Stderr, "manifests: %v\n", err)
		os.Exit(1)
	}
}

func run(directory, output string) error {
	rendered, err := chart.Render(directory, chart.Options{Values: values})
	if err != nil {
		return err
	}
	for template, text := range rendered {
		name := path.Base(template)
		file, known := files[name]
		switch {
		case !strings.HasSuffix(name, ".yaml"), known && file == "":
			continue
		case !known:
			return fmt.Errorf("write %s: say in this program which file it becomes", template)
		}
		if strings.HasSuffix(name, "-config.yaml") {
			if text, err = configuration(text); err != nil {
				return fmt.Errorf("read %s: %w", template, err)
			}
		}
		if err := os.WriteFile(filepath.Join(output, file), []byte(heading+tidy(text)), 0o600); err != nil {
			return fmt.Errorf("write the manifests: %w", err)
		}
	}
	return nil
}

// configuration takes the file out of a ConfigMap: kustomize makes the ConfigMap,
// under a name that changes with the file.
func configuration(text string) (string, error) {
	var object corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		return "", fmt.Errorf("decode the ConfigMap: %w", err)
	}
	file, found := object.Data["config.yaml"]
	if !found {
		return "", errors.New("the ConfigMap has no config.yaml")
	}
	return file, nil
}

// tidy removes what templates leave behind: empty lines and a separator before
// the first object.
func tidy(text string) string {
	var result bytes.Buffer
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if line == "" || line == "---" && result.Len() == 0 {
			continue
		}
		_, _ = io.WriteString(&result, line+"\n")
	}
	return result.String()
}

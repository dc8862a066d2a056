package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const certManagerModule = "github.com/cert-manager/cert-manager"

// moduleCustomResources returns where the Go command keeps the definitions of the
// version of cert-manager that this repository uses.
func moduleCustomResources(ctx context.Context, checkout string) (string, error) {
	module, err := findModule(checkout)
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", certManagerModule)
	command.Dir = module
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find cert-manager's resources: go list: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	directory := string(bytes.TrimSpace(output))
	if directory == "" {
		return "", fmt.Errorf("find cert-manager's resources: module %s is not in the module cache; run `go mod download %[1]s` in %s", certManagerModule, module)
	}
	return filepath.Join(directory, "deploy", "crds"), nil
}

// findModule returns the e2e module of the checkout around a directory.
func findModule(start string) (string, error) {
	start, err := filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for directory := start; ; directory = filepath.Dir(directory) {
		for _, candidate := range []string{directory, filepath.Join(directory, "e2e")} {
			content, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && bytes.Contains(content, []byte("\n\t"+certManagerModule+" v")) && bytes.Contains(content, []byte("/e2e\n")) {
				return candidate, nil
			}
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("find cert-manager's resources: %s is not inside a clone of agent-stack-k8s; start the cluster there", start)
		}
	}
}

func readDefinitions(directory string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("find cert-manager's resources: %w", err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("find cert-manager's resources: no *.yaml in %s", directory)
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read cert-manager's resources: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, definition); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		definitions = append(definitions, definition)
	}
	return definitions, nil
}

func define(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, definition *apiextensionsv1.CustomResourceDefinition) error {
	_, err := client.Create(ctx, definition, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("define %s: %w", definition.Name, err)
	}
	return nil
}

func established(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	for _, definition := range definitions {
		current, err := client.Get(ctx, definition.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("find %s: %w", definition.Name, err)
		}
		ok := false
		for _, condition := range current.Status.Conditions {
			ok = ok || condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
		}
		if !ok {
			return fmt.Errorf("%s is not established yet", definition.Name)
		}
	}
	return nil
}

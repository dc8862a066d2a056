// Package chart renders the product's Helm chart as helm template does, in this
// process.
package chart

import (
	"cmp"
	"fmt"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Options say for what to render. The zero value is a release agent-stack-k8s in
// the namespace buildkite, with default values, on the newest Kubernetes that the
// helm library knows, without cert-manager.
type Options struct {
	// Release and Namespace are the release's.
	Release, Namespace string
	// Values override the chart's.
	Values map[string]any
	// Kubernetes is the cluster's version, such as v1.30.0.
	Kubernetes string
	// APIVersions are what the cluster has beside Kubernetes' own.
	APIVersions []string
}

// Render returns what each template becomes, by its path in the chart; templates
// that other ones include are not among them. It fails as helm does: for values
// that the schema or the chart itself refuses.
func Render(directory string, options Options) (map[string]string, error) {
	loaded, err := loader.Load(directory)
	if err != nil {
		return nil, fmt.Errorf("load the chart: %w", err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(cmp.Or(options.Kubernetes, "v1.37.0"))
	if err != nil {
		return nil, fmt.Errorf("read the version %q of Kubernetes: %w", options.Kubernetes, err)
	}
	capabilities.KubeVersion = *version
	capabilities.APIVersions = append(capabilities.APIVersions, options.APIVersions...)
	if wanted := loaded.Metadata.KubeVersion; !chartutil.IsCompatibleRange(wanted, version.Version) {
		return nil, fmt.Errorf("the chart requires Kubernetes %s, and this is %s", wanted, version.Version)
	}
	release := chartutil.ReleaseOptions{
		Name: cmp.Or(options.Release, loaded.Name()), Namespace: cmp.Or(options.Namespace, "buildkite"), IsInstall: true,
	}
	values, err := chartutil.ToRenderValues(loaded, options.Values, release, capabilities)
	if err != nil {
		return nil, fmt.Errorf("check the values: %w", err)
	}
	rendered, err := engine.Render(loaded, values)
	if err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	return rendered, nil
}

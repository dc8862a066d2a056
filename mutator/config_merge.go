package mutator

import "k8s.io/apimachinery/pkg/util/validation/field"

// MetadataConfig are labels and annotations.
type MetadataConfig struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ResourceClass is what a pod of the class gets.
type ResourceClass struct{}

func (c Config) validateMerges() field.ErrorList { return nil }

// merge joins what the platform, the resource class and the plugin say into the
// pod.
func (r *reading) merge() {}

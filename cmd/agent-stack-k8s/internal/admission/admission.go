// Package admission does to a pod what the dispatcher and the mutator do on a
// cluster, with their very code and without a cluster.
package admission

import (
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// standard is the configuration where the user gives none: that of our
// manifests.
const standard = `
apiVersion: ` + mutator.ConfigAPIVersion + `
kind: ` + mutator.ConfigKind + `
agentImage: ghcr.io/buildkite/agent:3.138.1
entrypointImage: ghcr.io/buildkite/agent-stack-k8s/entrypoint:latest
`

// Where dispatched pods go, and whose they are, where nothing else is said: as
// in our manifests.
const (
	namespace    = "buildkite-jobs"
	controllerID = "agent-stack-k8s"
)

// ReadConfig reads a mutator's configuration file; an empty name is the standard
// configuration.
func ReadConfig(file, version string) (mutator.Config, error) {
	text := []byte(standard)
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return mutator.Config{}, fmt.Errorf("read the mutator's configuration: %w", err)
		}
	}
	config, errs := mutator.ParseConfig(text)
	if len(errs) > 0 {
		return mutator.Config{}, fmt.Errorf("read the mutator's configuration %s: %w", file, errs.ToAggregate())
	}
	config.Version = version

	return config, nil
}

// Dispatch makes the pod that the dispatcher would submit for a job, as JSON. The
// template is the pod spec of the PodTemplate that the job names, if it does.
// The errors' paths are those of a pipeline step: plugins.kubernetes.podSpec.
func Dispatch(job jobpod.Job, template json.RawMessage) (json.RawMessage, field.ErrorList) {
	tags, err := jobpod.ParseTags(job.Rules)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(field.NewPath("agents"), field.OmitValueType{}, err.Error())}
	}
	pod, errs := jobpod.Pod(job, jobpod.PodSettings{
		Namespace:    namespace,
		ControllerID: controllerID,
		Tags:         tags.WithQueue(tags.Queue()),
	}, template)
	if len(errs) > 0 {
		return nil, errs
	}
	raw, err := json.Marshal(pod.Object)
	if err != nil {
		// The object was decoded from JSON.
		panic("encode pod: " + err.Error())
	}

	return raw, nil
}

// Outcome is what became of a pod.
type Outcome struct {
	// Pod is the pod after admission, as JSON with all fields of the original.
	Pod json.RawMessage
	// Warnings are those of the admission.
	Warnings []string
	// Skipped says that the pod does not ask to be a job runner, and stays as it is.
	Skipped bool
}

// Review does what the mutator does to a pod at admission. The field errors are
// mistakes of the pod's creator, their paths those of the pod; the other error
// says that raw is no pod.
func Review(config mutator.Config, raw json.RawMessage) (Outcome, field.ErrorList, error) {
	var pod corev1.Pod
	if err := kjson.Unmarshal(raw, &pod); err != nil {
		return Outcome{}, nil, fmt.Errorf("read the pod: %w", err)
	}
	if pod.Labels[contract.InjectLabel] != contract.InjectEnabled {
		return Outcome{Pod: raw, Skipped: true}, nil, nil
	}
	result, errs := config.ForNamespace(pod.Namespace).Mutate(&pod)
	if len(errs) > 0 {
		return Outcome{}, errs, nil
	}
	operations, err := patch.Options{Originals: result.Originals}.Create(raw, &pod)
	if err != nil {
		return Outcome{}, nil, fmt.Errorf("make the patch: %w", err)
	}
	after, err := patch.Apply(raw, operations)
	if err != nil {
		return Outcome{}, nil, err
	}

	return Outcome{Pod: after, Warnings: result.Warnings}, nil, nil
}

package mutator

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Result is what Mutate has to say beside the changed pod.
type Result struct {
	// Changed is false for a pod that had gone through Mutate before.
	Changed bool
	// Warnings are for the person who creates the pod: about input that is
	// legal but odd, and about choices made for them.
	Warnings []string
	// AuditAnnotations are for the API server's audit log.
	AuditAnnotations map[string]string
	// Originals are init containers, by name, as their author wrote them, with
	// fields that the typed pod cannot hold. The patch should keep these.
	Originals map[string]json.RawMessage
}

// step carries out a part of the plan: it sets what is ours and does nothing
// where that is already so.
type step func(*corev1.Pod, *Plan)

// steps is everything that happens to a pod, in order.
var steps = []step{
	addWorkspace,
	deliverEntrypoint,
	addServices,
	wrapJobContainers,
	addAgent,
	addCheckout,
	patchInjected,
	addPasswd,
	runOnce,
	showJobContainer,
	openGate,
}

// Mutate turns a labelled pod into a job runner, in place. A pod that is one
// already stays as it is. Errors are the mistakes of the pod's creator, with
// the path, and what to do; the pod is then unchanged. What the pod points to is
// never written to: a shallow copy made before is still the pod as it was.
func (c Config) Mutate(pod *corev1.Pod) (Result, field.ErrorList) {
	if text, injected := pod.Annotations[contract.InjectedAnnotation]; injected {
		return c.confirm(pod, text)
	}
	work := pod.DeepCopy()
	nameContainers(work)
	reading := c.read(work)
	if len(reading.errs) > 0 {
		return Result{}, reading.errs
	}
	reading.plan.version = c.Version
	reading.plan.assureCheckout(work.Spec.Volumes)
	for _, step := range steps {
		step(work, &reading.plan)
	}
	receipt := Receipt{Version: c.Version, Config: c.Digest(), Plan: reading.plan}
	setAnnotation(work, contract.InjectedAnnotation, receipt.String())
	*pod = *work
	return Result{
		Changed:          true,
		Warnings:         reading.warnings,
		AuditAnnotations: receipt.audit("injected"),
		Originals:        reading.originals(),
	}, nil
}

// originals returns the sidecars as they were written, by their final names.
func (r *reading) originals() map[string]json.RawMessage {
	originals := map[string]json.RawMessage{}
	for i, service := range r.plan.Services {
		if i < len(r.plugin.rawSidecars) {
			originals[service.Name] = r.plugin.rawSidecars[i]
		}
	}
	return originals
}

func setAnnotation(pod *corev1.Pod, name, value string) {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[name] = value
}

package mutator

import (
	"encoding/json"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// sameVersion reports whether a receipt is of a version. A text that is no
// receipt counts as ours, so that the strict parser says what is wrong.
func sameVersion(text, version string) bool {
	var receipt struct {
		Version string `json:"version"`
	}
	return json.Unmarshal([]byte(text), &receipt) != nil || receipt.Version == version
}

// otherReceipt is the part of a receipt that every version writes.
type otherReceipt struct {
	Version string `json:"version"`
	Config  string `json:"config"`
	Plan    struct {
		Checkout *struct {
			ID int `json:"id"`
		} `json:"checkout"`
		Containers []struct {
			Name string `json:"name"`
			ID   int    `json:"id"`
		} `json:"containers"`
	} `json:"plan"`
}

// confirmOther checks a pod that another version of this program injected, as
// happens between two admissions of one pod while a new version is rolled out.
// What each version prescribes in detail is its own affair; that the entrypoint
// runs the recorded containers is not.
func (c Config) confirmOther(pod *corev1.Pod, text string) (Result, field.ErrorList) {
	var receipt otherReceipt
	if err := json.Unmarshal([]byte(text), &receipt); err != nil {
		return Result{}, field.ErrorList{invalid(receiptPath, "not a receipt of a mutator (%s); remove the annotation", oneLine(err))}
	}
	ids := map[string]int{}
	for _, container := range receipt.Plan.Containers {
		ids[container.Name] = container.ID
	}
	if receipt.Plan.Checkout != nil {
		ids[contract.CheckoutContainer] = receipt.Plan.Checkout.ID
	}
	var errs field.ErrorList
	if len(receipt.Plan.Containers) == 0 {
		errs = append(errs, invalid(receiptPath, "names no job container; remove the annotation"))
	}
	wrapped := 0
	for i, container := range pod.Spec.Containers {
		id, planned := ids[container.Name]
		if !planned {
			continue
		}
		wrapped++
		if !runsEntrypoint(container) || lastValue(container.Env, containerIDVariable) != strconv.Itoa(id) {
			errs = append(errs, changedSince(containersPath.Index(i)))
		}
	}
	agent := findContainer(pod.Spec.Containers, contract.AgentContainer)
	if wrapped != len(ids) || agent == nil || !runsEntrypoint(*agent) {
		errs = append(errs, invalid(receiptPath, "the pod does not have the containers that it names; %s", startAgain))
	}
	errs = append(errs, c.secretReferences(pod, plugin{}, nil)...)
	errs = append(errs, privateMounts(pod)...)
	if len(errs) > 0 {
		return Result{}, errs
	}
	audit := map[string]string{"outcome": "confirmed", "version": receipt.Version, "config": receipt.Config}
	return Result{AuditAnnotations: audit}, nil
}

func runsEntrypoint(container corev1.Container) bool {
	return len(container.Command) == 1 && container.Command[0] == contract.EntrypointPath
}

package mutator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var receiptPath = annotationsPath.Key(contract.InjectedAnnotation)

// Receipt is what Mutate writes onto a pod: who did it, and what.
type Receipt struct {
	// Version is the mutator's.
	Version string `json:"version"`
	// Config is the digest of its configuration.
	Config string `json:"config"`
	Plan   Plan   `json:"plan"`
}

// String is the receipt as it is in the annotation.
func (r Receipt) String() string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		// Every field was decoded from JSON.
		panic("encode receipt: " + err.Error())
	}
	return strings.TrimSpace(buffer.String())
}

// ParseReceipt reads a receipt annotation.
func ParseReceipt(text string) (Receipt, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var receipt Receipt
	if err := decoder.Decode(&receipt); err != nil {
		return Receipt{}, fmt.Errorf("decode receipt: %w", err)
	}
	if decoder.More() {
		return Receipt{}, fmt.Errorf("decode receipt: text after its end")
	}
	return receipt, nil
}

func (r Receipt) audit(outcome string) map[string]string {
	return map[string]string{
		"outcome":        outcome,
		"version":        r.Version,
		"config":         r.Config,
		"job-containers": strings.Join(r.Plan.jobContainerNames(), ","),
	}
}

// confirm checks that a pod with a receipt is what the recorded plan makes of
// it. Other webhooks, and Kubernetes itself, may have added to it since.
func (c Config) confirm(pod *corev1.Pod, text string) (Result, field.ErrorList) {
	if !sameVersion(text, c.Version) {
		return c.confirmOther(pod, text)
	}
	receipt, err := ParseReceipt(text)
	if err != nil {
		return Result{}, field.ErrorList{invalid(receiptPath, "not a receipt of this mutator (%s); remove the annotation", oneLine(err))}
	}
	plan := &receipt.Plan
	plan.version = receipt.Version
	errs := confirmContainers(pod, plan)
	if len(errs) == 0 {
		errs = confirmOwnedFields(pod, plan)
	}
	errs = append(errs, c.secretReferences(pod, plugin{}, plan)...)
	errs = append(errs, privateMounts(pod)...)
	if len(errs) > 0 {
		return Result{}, errs
	}
	return Result{AuditAnnotations: receipt.audit("confirmed")}, nil
}

// confirmContainers checks that everything recorded is there, and fetches from
// the pod what was too long to record.
func confirmContainers(pod *corev1.Pod, plan *Plan) field.ErrorList {
	var errs field.ErrorList
	if plan.JobUUID != pod.Labels[contract.JobUUIDLabel] {
		errs = append(errs, field.Invalid(labelsPath.Key(contract.JobUUIDLabel), pod.Labels[contract.JobUUIDLabel],
			fmt.Sprintf("the pod was made a runner for job %q; %s", plan.JobUUID, startAgain)))
	}
	if len(plan.Containers) == 0 {
		errs = append(errs, invalid(receiptPath, "names no job container; remove the annotation"))
	}
	for i := range plan.Containers {
		planned := &plan.Containers[i]
		container := findContainer(pod.Spec.Containers, planned.Name)
		if container == nil {
			errs = append(errs, missing(planned.Name))
			continue
		}
		errs = append(errs, confirmWords(container, planned, pathOf(pod, planned.Name))...)
	}
	for _, service := range plan.Services {
		if findContainer(pod.Spec.InitContainers, service.Name) == nil {
			errs = append(errs, missing(service.Name))
		}
	}
	return errs
}

// confirmWords fetches the container's own command from behind the prescribed
// args, which are looked at later, and checks that it is still the same.
func confirmWords(container *corev1.Container, planned *ContainerPlan, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, variable := range container.Env {
		if variable.Name == commandVariable {
			errs = append(errs, field.Forbidden(path.Child("env").Index(i), "the container's command is in its args; "+startAgain))
		}
	}
	if planned.Interposer == "" {
		return errs
	}
	planned.words = container.Args[min(len(planned.args()), len(container.Args)):]
	if digestWords(planned.words) != planned.CommandDigest {
		errs = append(errs, invalid(path.Child("args"), "the container's own command, behind \"--\", is not what it was; %s", startAgain))
	}
	return errs
}

// startAgain is what to do about an injected pod that cannot stay as it is.
const startAgain = "create the pod from its original form, without the injected parts and the annotation " + contract.InjectedAnnotation

func missing(name string) *field.Error {
	return invalid(receiptPath, "names the container %q, which the pod does not have; %s", name, startAgain)
}

// confirmOwnedFields carries out the plan once more; a pod that it changes is
// not what it was.
func confirmOwnedFields(pod *corev1.Pod, plan *Plan) field.ErrorList {
	again := pod.DeepCopy()
	for _, step := range steps {
		step(again, plan)
	}
	var errs field.ErrorList
	for _, path := range differences(pod, again) {
		errs = append(errs, changedSince(path))
	}
	return errs
}

// lastValue returns the value of a variable as the container will see it.
func lastValue(variables []corev1.EnvVar, name string) string {
	value := ""
	for _, variable := range variables {
		if variable.Name == name {
			value = variable.Value
		}
	}
	return value
}

func pathOf(pod *corev1.Pod, container string) *field.Path {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == container {
			return containersPath.Index(i)
		}
	}
	return containersPath
}

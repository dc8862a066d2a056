package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// trialUUID is the job of trial pods. No such job or pod ever exists.
const trialUUID = "00000000-0000-4000-8000-00000000d0c7"

// checkNamespaces looks at whether the namespaces of jobs have opted in.
func (d *doctor) checkNamespaces(context.Context) {
	if len(d.namespaces) == 0 {
		d.at("namespace", "cluster").failf("kubectl label namespace NAMESPACE "+contract.NamespaceLabel+"="+contract.NamespaceEnabled,
			"no namespace has opted in to jobs, and no dispatcher names one")
	}
	for _, namespace := range d.namespaces {
		place := d.at("namespace", "Namespace "+namespace.Name)
		value, isSet := namespace.Labels[contract.NamespaceLabel]
		label := "kubectl label --overwrite namespace " + namespace.Name + " " + contract.NamespaceLabel + "=" + contract.NamespaceEnabled
		switch {
		case namespace.UID == "":
			place.failf("kubectl create namespace "+namespace.Name+" && "+label, "a dispatcher makes its pods in it, and it does not exist")
		case namespace.DeletionTimestamp != nil:
			place.failf("Wait until it is gone, and create it again; or correct the dispatcher's namespace.", "a dispatcher makes its pods in it, and it is being deleted")
		case !isSet:
			place.failf(label, "has not opted in: it lacks the label %s=%s, so the mutator is not asked and the policy refuses its pods", contract.NamespaceLabel, contract.NamespaceEnabled)
		case value != contract.NamespaceEnabled:
			place.failf(label, "has not opted in: its label %s is %q, not %q", contract.NamespaceLabel, value, contract.NamespaceEnabled)
		default:
			place.okf("has opted in")
		}
	}
}

// checkAdmission tries a pod of each queue, as the dispatcher would make it, in a
// dry run.
func (d *doctor) checkAdmission(ctx context.Context) {
	tried := map[string]bool{}
	for _, dispatcher := range d.found.Dispatchers {
		for _, queue := range dispatcher.Queues {
			tried[queue.Namespace] = true
			d.try(ctx, jobpod.PodSettings{
				Namespace: queue.Namespace, ControllerID: "doctor", Tags: queue.Tags.WithQueue(queue.Name()),
				AgentImage: queue.AgentImage, AgentTokenSecret: queue.AgentTokenSecret, Mutator: dispatcher.Setting("mutator"),
			})
		}
	}
	for _, namespace := range d.namespaces {
		if !tried[namespace.Name] {
			d.try(ctx, jobpod.PodSettings{Namespace: namespace.Name, ControllerID: "doctor", Tags: jobpod.Tags{}.WithQueue("doctor")})
		}
	}
}

func (d *doctor) try(ctx context.Context, settings jobpod.PodSettings) {
	place := d.at("admission", "Namespace "+settings.Namespace)
	pod, errs := jobpod.Pod(jobpod.Job{UUID: trialUUID}, settings, nil)
	if len(errs) > 0 {
		place.failf("Correct the dispatcher's options.", "no pod can be made: %v", errs.ToAggregate())
		return
	}
	var admitted corev1.Pod
	err := d.client.Create(ctx, pod.Object, &admitted, cluster.Core(settings.Namespace, "pods"), true)
	if err != nil {
		d.refused(place, err)
		return
	}
	isGated := slices.ContainsFunc(admitted.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == contract.Gate })
	if text := admitted.Annotations[contract.InjectedAnnotation]; isGated || text == "" {
		place.failf("See the results for the webhook and the namespace.", "in a dry run a pod of a job came back without the agent: no mutator saw it")
		return
	}
	receipt, err := mutator.ParseReceipt(admitted.Annotations[contract.InjectedAnnotation])
	if err != nil {
		place.warnf("Use the agent-stack-k8s that belongs to the installation.", "in a dry run the mutator answered with a receipt that this program cannot read: %v", err)
		return
	}
	d.admitted[settings.Namespace] = &admitted
	place.okf("in a dry run the mutator (version %s) made a job runner of a pod of queue %s", receipt.Version, settings.Tags.Queue())
}

// refused says what a refusal means.
func (d *doctor) refused(place place, err error) {
	verdict := diagnosis.Classify(err)
	words := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		words = status.Status().Message
	}
	switch verdict.Cause {
	case diagnosis.CauseQuota:
		place.warnf("Wait for jobs to end, or raise the quota.", "%s: %s", diagnosis.OperatorAdvice(verdict.Cause), words)
	case diagnosis.CausePermission:
		place.unknownf("Have somebody run this who may create pods in the namespace.", "you may not try a pod: %s", words)
	default:
		place.failf(upper(diagnosis.OperatorAdvice(verdict.Cause))+".", "in a dry run a pod of a job was refused (%s): %s", verdict.Cause, words)
	}
}

func upper(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

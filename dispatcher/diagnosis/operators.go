package diagnosis

import "strings"

// Operators tells the cluster's operators what to do about faults that are no
// job's.
var Operators = map[string]string{
	CauseUnreachable:      "cannot reach the API server: check its address and the network between",
	CauseServer:           "the API server answers with errors of its own: see its log",
	CauseBusy:             "the API server asks for fewer requests: see its priority and fairness settings",
	CauseQuota:            "the namespace's quota is used up: jobs wait for pods to end, or for a larger quota",
	CauseQuotaTooSmall:    "the namespace's quota is smaller than one pod of a job",
	CauseMutator:          "a webhook in the way of pods does not answer: see the mutator's pods, Service and certificate, or those of the webhook that is named",
	CauseMutatorMissing:   "no mutator changes the pods: install it, and label the namespace",
	CauseBackstop:         "the policy that comes with the mutator refuses its pods: the versions of mutator and manifests differ, or another webhook changes pods after the mutator",
	CauseNamespace:        "the namespace does not exist: create it, or correct the option",
	CauseNamespaceEnding:  "the namespace is being deleted: wait and create it again, or correct the option",
	CausePermission:       "the dispatcher may not create pods: apply its role to the namespace, and check its credentials",
	CauseServiceAccount:   "the namespace has no service account \"default\" yet, which the cluster makes by itself: see its controller manager",
	CausePodSecurity:      "the namespace's Pod Security standard refuses pods of jobs: set the mutator's podSecurity: restricted, or another standard for the namespace",
	CausePolicy:           "a policy of the cluster refuses pods of jobs",
	CauseLimitRange:       "the namespace's limit range refuses pods of jobs: change it, or the resources in the mutator's configuration",
	CauseQuotaMustSpecify: "the namespace's quota wants resources in every container: set them in the mutator's configuration, or have a LimitRange give defaults",
}

// OperatorAdvice says so for one cause.
func OperatorAdvice(cause string) string {
	if advice, known := Operators[cause]; known {
		return advice
	}
	return "the cluster takes no pods"
}

// Remedy is what to do about a cause, for whoever it concerns: the pipeline's
// author where there is something to change in the step, else the operators.
func Remedy(cause string) string {
	for _, kind := range Forbiddens {
		if kind.Verdict.Cause == cause && kind.Verdict.Advice != "" {
			return kind.Verdict.Advice
		}
	}
	if advice, known := refusals[cause]; known {
		return advice
	}
	if advice, known := Operators[cause]; known {
		return "Operators: " + advice + "."
	}
	if advice, known := Advices[cause]; known && !strings.Contains(advice, "%[") {
		return advice
	}
	return "Read the job's log in Buildkite, and the dispatcher's."
}

// refusals are what to do about refused pods, where the sentence that the job's
// log has names more than is known later.
var refusals = map[string]string{
	CauseInvalid:       "Correct the step: the job's log says which field of the kubernetes plugin is wrong. agent-stack-k8s lint finds it before Buildkite does.",
	CauseTooLarge:      "Make the pod smaller: large values belong into a ConfigMap or the repository.",
	CauseQuotaTooSmall: "Ask for less: what the pod asks for is more than the namespace's whole quota.",
	CausePodTemplate:   "Correct plugins.kubernetes.podTemplate, or have the template created.",
	CausePolicy:        "Change the pod so that the cluster's policy allows it.",
	CauseForbidden:     "Change the pod so that the cluster allows it.",
	CauseCapacity:      "Wait for other jobs to end, or raise max-in-flight.",
}

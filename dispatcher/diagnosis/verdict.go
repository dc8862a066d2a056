package diagnosis

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Class says what becomes of a job whose pod could not be created.
type Class int

const (
	// Hold keeps the job scheduled and tries again later.
	Hold Class = iota
	// Never fails the job: no later attempt can go better.
	Never
)

// Causes, short and few: they are metric labels and keys of held jobs.
const (
	CauseUnreachable       = "unreachable"
	CauseServer            = "server-error"
	CauseBusy              = "busy"
	CauseConflict          = "conflict"
	CauseQuota             = "quota"
	CauseQuotaTooSmall     = "quota-too-small"
	CauseQuotaMustSpecify  = "quota-must-specify"
	CauseLimitRange        = "limit-range"
	CausePodSecurity       = "pod-security"
	CausePriorityClass     = "priority-class"
	CauseRuntimeClass      = "runtime-class"
	CauseServiceAccount    = "service-account"
	CausePodTemplate       = "pod-template"
	CausePolicy            = "policy"
	CauseMutator           = "mutator"
	CauseMutatorMissing    = "mutator-missing"
	CauseBackstop          = "backstop-policy"
	CauseNamespace         = "namespace"
	CauseNamespaceEnding   = "namespace-terminating"
	CausePermission        = "permission"
	CauseForbidden         = "forbidden"
	CauseInvalid           = "invalid"
	CauseTooLarge          = "too-large"
	CauseEndedWithoutARun  = "ended-without-run"
	CauseForeignPod        = "foreign-pod"
	CauseFailureUnreported = "failure-unreported"
)

const (
	// serviceAccountPatience covers a ServiceAccount that is applied together
	// with the pipeline that uses it, templatePatience a PodTemplate.
	serviceAccountPatience = time.Minute
	templatePatience       = time.Minute
	// unknownPatience covers refusals that this program does not know: an
	// administrator has time to mend a policy before jobs fail.
	unknownPatience = 10 * time.Minute
)

// Verdict is what a refused creation means.
type Verdict struct {
	Class Class
	Cause string
	// Platform is set if every job would meet the same answer: the dispatcher
	// then tries one job at a time.
	Platform bool
	// Patience is how long to hold before the job fails all the same; 0 is
	// without end.
	Patience time.Duration
	// Advice tells the pipeline's author what to change.
	Advice string
}

// Forbidden is one kind of 403. Status codes and details are the same for all
// of them, so the sentence decides.
type Forbidden struct {
	Pattern *regexp.Regexp
	Verdict Verdict
}

// Forbiddens are the kinds that are known, in the order of trial.
var Forbiddens = []Forbidden{
	{regexp.MustCompile(`failed quota: .*must specify`), Verdict{Class: Never, Cause: CauseQuotaMustSpecify, Advice: "Set the resources that the namespace's quota asks for, in every container of the pod."}},
	{regexp.MustCompile(`violates PodSecurity`), Verdict{Class: Never, Cause: CausePodSecurity, Advice: "Change the securityContext so that the pod meets the namespace's Pod Security standard."}},
	{regexp.MustCompile(`no PriorityClass with name|PriorityClass .*not found`), Verdict{Class: Never, Cause: CausePriorityClass, Advice: "Correct or remove plugins.kubernetes.podSpec.priorityClassName: the cluster has no such priority class."}},
	{regexp.MustCompile(`RuntimeClass`), Verdict{Class: Never, Cause: CauseRuntimeClass, Advice: "Correct or remove plugins.kubernetes.podSpec.runtimeClassName: the cluster has no such runtime class, or it does not go with the pod."}},
	// Every namespace gets this one from the cluster; no author asked for it.
	{regexp.MustCompile(`serviceaccount "default" not found`), Verdict{Class: Hold, Cause: CauseServiceAccount, Platform: true}},
	{regexp.MustCompile(`error looking up service account|serviceaccount ".*" not found`), Verdict{Class: Hold, Cause: CauseServiceAccount, Patience: serviceAccountPatience, Advice: "Correct plugins.kubernetes.podSpec.serviceAccountName, or have the service account created: the namespace has none of this name."}},
	{regexp.MustCompile(`(?:minimum|maximum) .+ usage per (?:Container|Pod|PersistentVolumeClaim)|limit to request ratio`), Verdict{Class: Never, Cause: CauseLimitRange, Advice: "Change the containers' resources so that they fit the namespace's limit range."}},
	{regexp.MustCompile(`User ".*" cannot \w+ resource`), Verdict{Class: Hold, Cause: CausePermission, Platform: true}},
}

// backstopPolicy finds refusals by the policies that come with this product. They
// refuse what the mutator has not changed, which is never the job's fault. An
// installation's name is in theirs, so it is their words that tell; other policies
// with our name are the cluster's.
var backstopPolicy = regexp.MustCompile(`ValidatingAdmissionPolicy '[^']*(?:injected|dispatcher)' with binding '[^']*' denied request: ` +
	`(?:the pod has the label buildkite\.com/inject=true,|the (?:label|scheduling gate) buildkite\.com/inject |a pod of the Buildkite dispatcher )`)

// Classify decides what an error of creating a pod means. Its sources are the
// answers of a real API server; dispatcher/testdata has one of each kind, recorded.
func Classify(err error) Verdict {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		// No answer: the pod may exist or not; its name makes a second try safe.
		return Verdict{Class: Hold, Cause: CauseUnreachable, Platform: !errors.Is(err, context.Canceled)}
	}
	answer := status.Status()
	switch {
	case backstopPolicy.MatchString(answer.Message):
		return Verdict{Class: Hold, Cause: CauseBackstop, Platform: true}
	case hasCause(answer, corev1.NamespaceTerminatingCause):
		return Verdict{Class: Hold, Cause: CauseNamespaceEnding, Platform: true}
	case strings.Contains(answer.Message, "request is too large"):
		return Verdict{Class: Never, Cause: CauseTooLarge, Advice: "Make the pod smaller: large values belong into a ConfigMap or the repository."}
	case strings.Contains(answer.Message, "failed calling webhook"):
		return Verdict{Class: Hold, Cause: CauseMutator, Platform: true}
	case lacksMutator(answer):
		return Verdict{Class: Hold, Cause: CauseMutatorMissing, Platform: true}
	}
	return classifyCode(answer)
}

// mutatorsWork finds fields that are wrong only in a pod that no mutator has
// completed: a job container without an image gets one from it, and a node may
// be named once it has removed the gate.
var mutatorsWork = regexp.MustCompile(`^spec\.(?:containers\[\d+\]\.image|nodeName)$`)

// lacksMutator reports whether the API server found nothing wrong but what the
// mutator would have set right. Validation comes before the check of the gate,
// so that a missing mutator can show as this; the mutator's own refusals name
// its webhook.
func lacksMutator(answer metav1.Status) bool {
	if answer.Code != http.StatusUnprocessableEntity || answer.Details == nil || len(answer.Details.Causes) == 0 ||
		strings.Contains(answer.Message, "admission webhook") {
		return false
	}
	for _, cause := range answer.Details.Causes {
		isMissing := cause.Type == metav1.CauseTypeFieldValueRequired || cause.Type == metav1.CauseType(field.ErrorTypeForbidden)
		if !isMissing || !mutatorsWork.MatchString(cause.Field) {
			return false
		}
	}
	return true
}

func classifyCode(answer metav1.Status) Verdict {
	switch answer.Code {
	case http.StatusForbidden:
		return classifyForbidden(answer.Message)
	case http.StatusNotFound:
		if answer.Details != nil && answer.Details.Kind == "podtemplates" {
			return Verdict{
				Class: Hold, Cause: CausePodTemplate, Patience: templatePatience,
				Advice: "Correct plugins.kubernetes.podTemplate, or have the template created: the namespace has no PodTemplate " + answer.Details.Name + ".",
			}
		}
		return Verdict{Class: Hold, Cause: CauseNamespace, Platform: true}
	case http.StatusUnauthorized:
		return Verdict{Class: Hold, Cause: CausePermission, Platform: true}
	case http.StatusConflict:
		return Verdict{Class: Hold, Cause: CauseConflict}
	case http.StatusTooManyRequests:
		return Verdict{Class: Hold, Cause: CauseBusy}
	case http.StatusRequestEntityTooLarge:
		return Verdict{Class: Never, Cause: CauseTooLarge, Advice: "Make the pod smaller: large values belong into a ConfigMap or the repository."}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Verdict{Class: Never, Cause: CauseInvalid, Advice: invalidAdvice(answer)}
	default:
		return Verdict{Class: Hold, Cause: CauseServer}
	}
}

func classifyForbidden(message string) Verdict {
	if strings.Contains(message, "exceeded quota: ") {
		return classifyQuota(message)
	}
	for _, kind := range Forbiddens {
		if kind.Pattern.MatchString(message) {
			return kind.Verdict
		}
	}
	if strings.Contains(message, "ValidatingAdmissionPolicy '") {
		return Verdict{Class: Never, Cause: CausePolicy, Advice: "Change the pod so that the cluster's policy allows it."}
	}
	return Verdict{Class: Hold, Cause: CauseForbidden, Patience: unknownPatience, Advice: "Change the pod so that the cluster allows it."}
}

// unknownField is how strict field validation names a typing error.
var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// invalidAdvice names what the API server or the mutator found wrong, where
// the author wrote it.
func invalidAdvice(answer metav1.Status) string {
	if match := unknownField.FindStringSubmatch(answer.Message); match != nil {
		return "Correct or remove " + jobpod.AuthorPath(match[1]) + ": Kubernetes knows no such field."
	}
	if answer.Details == nil || len(answer.Details.Causes) == 0 {
		return "Correct the kubernetes plugin's configuration in the step."
	}
	var lines []string
	for _, cause := range answer.Details.Causes {
		lines = append(lines, "Correct "+jobpod.AuthorPath(cause.Field)+": "+jobpod.AuthorSentence(cause.Message))
	}
	return strings.Join(lines, "\n")
}

func hasCause(answer metav1.Status, want metav1.CauseType) bool {
	if answer.Details == nil {
		return false
	}
	for _, cause := range answer.Details.Causes {
		if cause.Type == want {
			return true
		}
	}
	return false
}

package doctor

import (
	"context"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const applyAgain = "Apply the manifests or the chart again; if somebody changed it on purpose, undo that: an edited one can let pods run without their agent."

// checkWebhook holds the webhook's configuration against what is installed.
func (d *doctor) checkWebhook(ctx context.Context) {
	if d.found.Webhook == nil {
		d.at("webhook", "MutatingWebhookConfiguration").failf(
			"Install the mutator: kubectl apply --server-side -k manifests/examples/install, or the chart.",
			"there is none for pods with the label %s=%s, so no pod becomes a job runner", contract.InjectLabel, contract.InjectEnabled)
		return
	}
	webhook, place := d.found.Webhook, d.at("webhook", "MutatingWebhookConfiguration "+d.found.WebhookName)
	problems := webhookProblems(webhook)
	for _, problem := range problems {
		place.failf(applyAgain, "%s", problem)
	}
	if strings.Compare(d.found.WebhookName, "1") >= 0 {
		place.warnf("Name it so that it sorts first, such as 00-buildkite-mutator.", "its name does not sort before others, so it does not see the pod as its creator wrote it")
	}
	if len(problems) == 0 {
		place.okf("is there, and as it was installed")
	}
	d.checkService(ctx)
}

// webhookProblems lists how a webhook differs from the one that is installed, in
// what matters to pods.
func webhookProblems(webhook *admissionregistrationv1.MutatingWebhook) []string {
	var problems []string
	say := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, text)
		}
	}
	say(webhook.FailurePolicy == nil || *webhook.FailurePolicy != admissionregistrationv1.Fail,
		"failurePolicy is not Fail: a pod that the mutator did not see would go through")
	say(webhook.SideEffects == nil || *webhook.SideEffects != admissionregistrationv1.SideEffectClassNone,
		"sideEffects is not None: dry runs are refused")
	say(webhook.ReinvocationPolicy == nil || *webhook.ReinvocationPolicy != admissionregistrationv1.IfNeededReinvocationPolicy,
		"reinvocationPolicy is not IfNeeded: what later webhooks change goes unchecked")
	say(webhook.MatchPolicy != nil && *webhook.MatchPolicy != admissionregistrationv1.Equivalent, "matchPolicy is not Equivalent")
	say(!coversPods(webhook.Rules), "rules do not cover CREATE and UPDATE of pods")
	say(webhook.NamespaceSelector == nil || len(webhook.NamespaceSelector.MatchExpressions) > 0 ||
		!equality.Semantic.DeepEqual(webhook.NamespaceSelector.MatchLabels, map[string]string{contract.NamespaceLabel: contract.NamespaceEnabled}),
		"namespaceSelector is not "+contract.NamespaceLabel+"="+contract.NamespaceEnabled)
	say(webhook.ObjectSelector == nil || webhook.ObjectSelector.MatchLabels[contract.InjectLabel] != contract.InjectEnabled ||
		slices.ContainsFunc(webhook.ObjectSelector.MatchExpressions, isForeignExpression),
		"objectSelector is not "+contract.InjectLabel+"="+contract.InjectEnabled)
	for _, condition := range webhook.MatchConditions {
		say(!slices.Contains([]string{"not-mirror", "spec-changes"}, condition.Name), "matchConditions has "+condition.Name+", which is not ours")
	}
	return problems
}

func isForeignExpression(expression metaExpression) bool {
	return expression.Key != contract.MutatorLabel
}

func coversPods(rules []admissionregistrationv1.RuleWithOperations) bool {
	covered := func(operation admissionregistrationv1.OperationType) bool {
		return slices.ContainsFunc(rules, func(rule admissionregistrationv1.RuleWithOperations) bool {
			return slices.Contains(rule.APIGroups, "") && slices.Contains(rule.APIVersions, "v1") && slices.Contains(rule.Resources, "pods") &&
				(slices.Contains(rule.Operations, operation) || slices.Contains(rule.Operations, admissionregistrationv1.OperationAll))
		})
	}
	return covered(admissionregistrationv1.Create) && covered(admissionregistrationv1.Update)
}

// checkService looks at what the webhook points to.
func (d *doctor) checkService(ctx context.Context) {
	reference := d.found.Webhook.ClientConfig.Service
	if reference == nil {
		return
	}
	place := d.at("webhook", "Service "+reference.Namespace+"/"+reference.Name)
	var service corev1.Service
	switch err := d.client.Get(ctx, &service, cluster.Core(reference.Namespace, "services", reference.Name)); {
	case installation.IsNotFound(err):
		place.failf("Apply the manifests or the chart again.", "the webhook points to it, and it does not exist: the API server refuses every labelled pod")
	case err != nil:
		place.unseen(err)
	case d.found.Mutator == nil:
		place.failf("Apply the manifests or the chart again.", "no Deployment's pods have the labels that it selects: the API server refuses every labelled pod")
	}
}

// Package installation finds what of this product runs in a cluster: by labels,
// and by what refers to what, never by the names of one way to install it.
package installation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Labels of the Deployments.
const (
	componentLabel      = "app.kubernetes.io/component"
	componentDispatcher = "dispatcher"
	nameLabel           = "app.kubernetes.io/name"
	productName         = "agent-stack-k8s"
)

// Installation is what was found. What is missing is nil or empty.
type Installation struct {
	// Webhook is the configuration's entry for pods of jobs, WebhookName that of
	// the configuration.
	Webhook     *admissionregistrationv1.MutatingWebhook
	WebhookName string
	// Mutator answers the webhook.
	Mutator *Mutator
	// Dispatchers are those of the cluster, or of a namespace.
	Dispatchers []*Dispatcher
}

// Mutator is the Deployment behind the webhook.
type Mutator struct {
	Deployment appsv1.Deployment
	// Config is its configuration, or ConfigErr why there is none.
	Config    *mutator.Config
	ConfigErr error
	// TLSSecret names the Secret with its certificate, "" if it has none.
	TLSSecret string
}

// Find looks for an installation. A namespace, if one is given, is where the
// dispatcher is looked for if it may not be looked for everywhere. The error says
// that the cluster did not answer; what it does not have is no error.
func Find(ctx context.Context, client *cluster.Client, namespace string) (*Installation, error) {
	found := &Installation{}
	if err := found.findWebhook(ctx, client); err != nil {
		return found, err
	}
	if err := found.findMutator(ctx, client); err != nil {
		return found, err
	}
	return found, found.findDispatchers(ctx, client, namespace)
}

// SystemNamespace is where the mutator is, or a dispatcher; "" if neither is.
func (i *Installation) SystemNamespace() string {
	switch {
	case i.Mutator != nil:
		return i.Mutator.Deployment.Namespace
	case len(i.Dispatchers) > 0:
		return i.Dispatchers[0].Deployment.Namespace
	case i.Webhook != nil && i.Webhook.ClientConfig.Service != nil:
		return i.Webhook.ClientConfig.Service.Namespace
	default:
		return ""
	}
}

// findWebhook takes the webhook for labelled pods; that of the default
// installation if there are several.
func (i *Installation) findWebhook(ctx context.Context, client *cluster.Client) error {
	var list admissionregistrationv1.MutatingWebhookConfigurationList
	if err := client.Get(ctx, &list, cluster.Group("admissionregistration.k8s.io/v1", "", "mutatingwebhookconfigurations")); err != nil {
		return err
	}
	for _, configuration := range list.Items {
		for _, webhook := range configuration.Webhooks {
			if !isOurs(configuration, webhook) {
				continue
			}
			isDefault := webhook.ObjectSelector == nil || webhook.ObjectSelector.MatchLabels[contract.MutatorLabel] == ""
			if i.Webhook == nil || isDefault {
				i.Webhook, i.WebhookName = &webhook, configuration.Name
			}
		}
	}
	return nil
}

func isOurs(configuration admissionregistrationv1.MutatingWebhookConfiguration, webhook admissionregistrationv1.MutatingWebhook) bool {
	if strings.HasSuffix(webhook.Name, "mutator.buildkite.com") || strings.Contains(configuration.Name, "buildkite-mutator") {
		return true
	}
	if webhook.ObjectSelector == nil {
		return false
	}
	_, selects := webhook.ObjectSelector.MatchLabels[contract.InjectLabel]
	return selects
}

func (i *Installation) findMutator(ctx context.Context, client *cluster.Client) error {
	if i.Webhook == nil || i.Webhook.ClientConfig.Service == nil {
		return nil
	}
	reference := i.Webhook.ClientConfig.Service
	var service corev1.Service
	if err := client.Get(ctx, &service, cluster.Core(reference.Namespace, "services", reference.Name)); err != nil {
		return ignoreMissing(err)
	}
	var list appsv1.DeploymentList
	if err := client.Get(ctx, &list, cluster.Group("apps/v1", reference.Namespace, "deployments")); err != nil {
		return err
	}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	index := slices.IndexFunc(list.Items, func(d appsv1.Deployment) bool {
		return !selector.Empty() && selector.Matches(labels.Set(d.Spec.Template.Labels))
	})
	if index < 0 {
		return nil
	}
	i.Mutator = &Mutator{Deployment: list.Items[index]}
	i.Mutator.read(ctx, client)
	return nil
}

func (m *Mutator) read(ctx context.Context, client *cluster.Client) {
	program := programOf(&m.Deployment, "mutator")
	if file := program.argument("tls-cert-file"); file != "" {
		m.TLSSecret, _ = program.secretOf(file)
	}
	text, err := program.file(ctx, client, program.argument("config"))
	if err != nil {
		m.ConfigErr = err
		return
	}
	config, errs := mutator.ParseConfig(text)
	if len(errs) > 0 {
		m.ConfigErr = fmt.Errorf("read the mutator's configuration: %w", errs.ToAggregate())
		return
	}
	m.Config = &config
}

func (i *Installation) findDispatchers(ctx context.Context, client *cluster.Client, namespace string) error {
	selector := nameLabel + "=" + productName + "," + componentLabel + "=" + componentDispatcher
	var list appsv1.DeploymentList
	err := client.Get(ctx, &list, cluster.Group("apps/v1", "", "deployments"), "labelSelector", selector)
	if IsForbidden(err) {
		place := namespace
		if place == "" {
			place = i.SystemNamespace()
		}
		if place == "" {
			return err
		}
		err = client.Get(ctx, &list, cluster.Group("apps/v1", place, "deployments"), "labelSelector", selector)
	}
	if err != nil {
		return err
	}
	for _, deployment := range list.Items {
		if namespace != "" && deployment.Namespace != namespace && !slices.Contains(namespacesOf(ctx, client, &deployment), namespace) {
			continue
		}
		dispatcher := &Dispatcher{Deployment: deployment}
		dispatcher.read(ctx, client)
		i.Dispatchers = append(i.Dispatchers, dispatcher)
	}
	return nil
}

// namespacesOf are those that a dispatcher's jobs run in.
func namespacesOf(ctx context.Context, client *cluster.Client, deployment *appsv1.Deployment) []string {
	dispatcher := &Dispatcher{Deployment: *deployment}
	dispatcher.read(ctx, client)
	return dispatcher.Namespaces()
}

// JobNamespaces are those that dispatchers make pods in, and those that have
// opted in, each once.
func (i *Installation) JobNamespaces(ctx context.Context, client *cluster.Client) ([]corev1.Namespace, error) {
	var list corev1.NamespaceList
	if err := client.Get(ctx, &list, cluster.Core("", "namespaces")); err != nil {
		return nil, err
	}
	var wanted []string
	for _, dispatcher := range i.Dispatchers {
		wanted = append(wanted, dispatcher.Namespaces()...)
	}
	var found []corev1.Namespace
	for _, namespace := range list.Items {
		if slices.Contains(wanted, namespace.Name) || namespace.Labels[contract.NamespaceLabel] == contract.NamespaceEnabled {
			found = append(found, namespace)
		}
	}
	for _, name := range wanted {
		isThere := slices.ContainsFunc(found, func(n corev1.Namespace) bool { return n.Name == name })
		if !isThere {
			// Asked for and not there: told by its missing UID.
			found = append(found, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	}
	return found, nil
}

func ignoreMissing(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

var errNoFile = errors.New("the program is given no such file")

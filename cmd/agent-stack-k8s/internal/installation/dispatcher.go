package installation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Dispatcher is one of the cluster.
type Dispatcher struct {
	Deployment appsv1.Deployment
	// ConfigErr says why its configuration could not be read.
	ConfigErr error
	// Queues are those that it serves.
	Queues []Queue

	program program
	values  map[string]any
}

// Queue is one that a dispatcher serves.
type Queue struct {
	Namespace        string
	Tags             jobpod.Tags
	AgentImage       string
	AgentTokenSecret string
}

// Name is the queue's.
func (q Queue) Name() string { return q.Tags.Queue() }

func (d *Dispatcher) read(ctx context.Context, client *cluster.Client) {
	d.program = programOf(&d.Deployment, "dispatcher")
	d.values = map[string]any{}
	if file := cmp.Or(d.program.argument("config"), d.program.argument("f"), d.program.variable("CONFIG")); file != "" {
		text, err := d.program.file(ctx, client, file)
		if err == nil {
			err = yaml.Unmarshal(text, &d.values)
		}
		if err != nil {
			d.ConfigErr = fmt.Errorf("read the dispatcher's configuration: %w", err)
		}
	}
	d.readQueues()
}

// Setting returns an option's value as text: a flag wins over the environment,
// and this over the file. "" is one that is not set.
func (d *Dispatcher) Setting(name string) string {
	if value := d.program.argument(name); value != "" {
		return value
	}
	if value := d.program.variable(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); value != "" {
		return value
	}
	return textOf(d.values[name])
}

func textOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case []any:
		texts := make([]string, len(value))
		for i, item := range value {
			texts[i] = textOf(item)
		}
		return strings.Join(texts, ",")
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	default:
		return fmt.Sprint(value)
	}
}

func (d *Dispatcher) readQueues() {
	entries, _ := d.values["queues"].([]any)
	if len(entries) == 0 {
		d.Queues = []Queue{d.queue(map[string]any{})}
		return
	}
	for _, entry := range entries {
		if fields, isObject := entry.(map[string]any); isObject {
			d.Queues = append(d.Queues, d.queue(fields))
		}
	}
}

// queue fills in from the options what an entry leaves out.
func (d *Dispatcher) queue(entry map[string]any) Queue {
	value := func(name string) string { return cmp.Or(textOf(entry[name]), d.Setting(name)) }
	tags, err := jobpod.ParseTags(strings.Split(cmp.Or(value("tags"), "queue="+cmp.Or(value("queue"), "kubernetes")), ","))
	if err != nil {
		d.ConfigErr = errors.Join(d.ConfigErr, err)
	}
	if name := value("queue"); name != "" {
		tags = tags.WithQueue(name)
	}
	return Queue{
		Namespace: cmp.Or(value("namespace"), "default"), Tags: tags,
		AgentImage: value("image"), AgentTokenSecret: value("agent-token-secret"),
	}
}

// Namespaces are those of its queues' jobs, each once.
func (d *Dispatcher) Namespaces() []string {
	var names []string
	for _, queue := range d.Queues {
		if !slices.Contains(names, queue.Namespace) {
			names = append(names, queue.Namespace)
		}
	}
	return names
}

// Name is for people: namespace/name of its Deployment.
func (d *Dispatcher) Name() string {
	return d.Deployment.Namespace + "/" + d.Deployment.Name
}

// ServiceAccount is the one that it works as.
func (d *Dispatcher) ServiceAccount() string {
	return cmp.Or(d.Deployment.Spec.Template.Spec.ServiceAccountName, "default")
}

// TokenReference names where a token comes from: the Secret and its key, for an
// option whose file is mounted from one. Both are empty if it does not.
func (d *Dispatcher) TokenReference(option string) (secret, key string) {
	file := d.Setting(option)
	if file == "" {
		return "", ""
	}
	return d.program.secretOf(file)
}

// Token reads a token as the dispatcher gets it: from a Secret's key, or the
// option's own text.
func (d *Dispatcher) Token(ctx context.Context, client *cluster.Client, option string) (string, error) {
	if secret, key := d.TokenReference(option + "-file"); secret != "" {
		var object corev1.Secret
		if err := client.Get(ctx, &object, cluster.Core(d.Deployment.Namespace, "secrets", secret)); err != nil {
			return "", err
		}
		token := strings.TrimSpace(string(object.Data[key]))
		if token == "" {
			return "", fmt.Errorf("the Secret %s/%s has no key %s, or an empty one", d.Deployment.Namespace, secret, key)
		}
		return token, nil
	}
	name := strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
	for _, variable := range d.program.container.Env {
		if variable.Name == name && variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
			reference := variable.ValueFrom.SecretKeyRef
			var object corev1.Secret
			if err := client.Get(ctx, &object, cluster.Core(d.Deployment.Namespace, "secrets", reference.Name)); err != nil {
				return "", err
			}
			return strings.TrimSpace(string(object.Data[reference.Key])), nil
		}
	}
	if token := d.Setting(option); token != "" {
		return token, nil
	}
	return "", fmt.Errorf("the dispatcher %s is given no %s", d.Name(), option)
}

// Pods are the pods of its Deployment.
func (d *Dispatcher) Pods(ctx context.Context, client *cluster.Client) ([]corev1.Pod, error) {
	return PodsOf(ctx, client, &d.Deployment)
}

// PodsOf are the pods of a Deployment.
func PodsOf(ctx context.Context, client *cluster.Client, deployment *appsv1.Deployment) ([]corev1.Pod, error) {
	var list corev1.PodList
	selector := make([]string, 0, len(deployment.Spec.Selector.MatchLabels))
	for key, value := range deployment.Spec.Selector.MatchLabels {
		selector = append(selector, key+"="+value)
	}
	slices.Sort(selector)
	err := client.Get(ctx, &list, cluster.Core(deployment.Namespace, "pods"), "labelSelector", strings.Join(selector, ","))
	return list.Items, err
}

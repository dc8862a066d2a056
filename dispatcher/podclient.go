package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

// clusterTimeout bounds one request to the API server. The webhook in its path
// has up to 10 seconds of its own.
const clusterTimeout = 30 * time.Second

// Submitter creates pods.
type Submitter interface {
	// Submit returns the pod as the cluster has it, after admission.
	Submit(ctx context.Context, pod *unstructured.Unstructured) (*PodRecord, error)
}

// Trial asks what would become of a pod.
type Trial interface {
	// Try answers as Submitter.Submit does, and creates nothing.
	Try(ctx context.Context, pod *unstructured.Unstructured) (*PodRecord, error)
}

// PodReader reads a pod from the cluster itself, not from a cache.
type PodReader interface {
	Read(ctx context.Context, namespace, name string) (*PodRecord, error)
}

// PodDeleter deletes pods.
type PodDeleter interface {
	// Delete deletes this very pod, not a later one of its name, and if
	// unchanged is set only in the state that the record shows.
	Delete(ctx context.Context, pod *PodRecord, unchanged bool) error
	// Force deletes this very pod without waiting for its node.
	Force(ctx context.Context, pod *PodRecord) error
}

// TemplateReader reads PodTemplates.
type TemplateReader interface {
	// Template returns the pod spec of a PodTemplate as JSON, with the fields
	// that this program's Kubernetes library does not know.
	Template(ctx context.Context, namespace, name string) (json.RawMessage, error)
}

// PodClient is the API server as the dispatcher uses it.
type PodClient struct {
	client kubernetes.Interface
	clock  *ClusterClock
}

var (
	_ Submitter  = (*PodClient)(nil)
	_ PodReader  = (*PodClient)(nil)
	_ PodDeleter = (*PodClient)(nil)

	_ TemplateReader = (*PodClient)(nil)
	_ Trial          = (*PodClient)(nil)
)

// NewPodClient makes a client for pods. The clock is the API server's, or nil.
func NewPodClient(client kubernetes.Interface, clock *ClusterClock) *PodClient {
	return &PodClient{client: client, clock: clock}
}

// Submit sends the pod as the JSON that it is, so that fields unknown to this
// program's Kubernetes library arrive, and has the API server refuse those that
// it does not know either.
func (c *PodClient) Submit(ctx context.Context, pod *unstructured.Unstructured) (*PodRecord, error) {
	return c.post(ctx, pod, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
}

// Try has the cluster answer as to Submit, and keep nothing.
func (c *PodClient) Try(ctx context.Context, pod *unstructured.Unstructured) (*PodRecord, error) {
	return c.post(ctx, pod, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
}

func (c *PodClient) post(ctx context.Context, pod *unstructured.Unstructured, options metav1.CreateOptions) (*PodRecord, error) {
	body, err := pod.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode pod %s: %w", pod.GetName(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	var created corev1.Pod
	err = c.client.CoreV1().RESTClient().Post().
		Namespace(pod.GetNamespace()).
		Resource("pods").
		VersionedParams(&options, scheme.ParameterCodec).
		SetHeader("Content-Type", "application/json").
		Body(body).
		Do(ctx).
		Into(&created)
	if err != nil {
		return nil, fmt.Errorf("create pod %s: %w", pod.GetName(), err)
	}
	return localRecord(&created, c.clock), nil
}

func (c *PodClient) Read(ctx context.Context, namespace, name string) (*PodRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read pod %s: %w", name, err)
	}
	return localRecord(pod, c.clock), nil
}

func (c *PodClient) Delete(ctx context.Context, pod *PodRecord, unchanged bool) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	preconditions := &metav1.Preconditions{UID: &pod.UID}
	if unchanged {
		preconditions.ResourceVersion = &pod.ResourceVersion
	}
	err := c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: preconditions})
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// Force deletes without a grace period.
func (c *PodClient) Force(ctx context.Context, pod *PodRecord) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	err := c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil {
		return fmt.Errorf("delete pod %s by force: %w", pod.Name, err)
	}
	return nil
}

// Template asks for JSON, because the protobuf form cannot hold unknown fields.
func (c *PodClient) Template(ctx context.Context, namespace, name string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	answer, err := c.client.CoreV1().RESTClient().Get().
		Namespace(namespace).
		Resource("podtemplates").
		Name(name).
		SetHeader("Accept", "application/json").
		Do(ctx).
		Raw()
	if err != nil {
		return nil, fmt.Errorf("read PodTemplate %s: %w", name, err)
	}
	var object struct {
		Template struct {
			Spec json.RawMessage `json:"spec"`
		} `json:"template"`
	}
	if err := json.Unmarshal(answer, &object); err != nil {
		return nil, fmt.Errorf("read PodTemplate %s: %w", name, err)
	}
	if object.Template.Spec == nil {
		return json.RawMessage("{}"), nil
	}
	return object.Template.Spec, nil
}

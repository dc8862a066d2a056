package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
)

// stage is a namespace of its own in which something is provoked.
type stage struct {
	plane     *controlplane.Plane
	client    kubernetes.Interface
	namespace string
}

// podName is that of all pods here.
const podName = "buildkite-1"

// unnamable is what a namespace's name cannot have in it.
var unnamable = regexp.MustCompile(`[^a-z0-9]+`)

// newStage makes a namespace with a default service account, which a controller
// would make.
func newStage(t *testing.T, plane *controlplane.Plane) *stage {
	t.Helper()
	name := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
	s := &stage{plane: plane, client: plane.Client(), namespace: "jobs-" + strings.Trim(unnamable.ReplaceAllString(strings.ToLower(name), "-"), "-")}
	if len(s.namespace) > 60 {
		s.namespace = strings.Trim(s.namespace[:60], "-")
	}
	s.make(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := s.client.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) make(t *testing.T, namespace *corev1.Namespace) {
	t.Helper()
	if _, err := s.client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// label labels the namespace.
func (s *stage) label(t *testing.T, key, value string) {
	t.Helper()
	namespace, err := s.client.CoreV1().Namespaces().Get(t.Context(), s.namespace, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	namespace.Labels[key] = value
	if _, err := s.client.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// pod is a pod of the stage's whose fields are changed by JSON: of its metadata and
// of its spec.
func (s *stage) pod(metadata, spec string) *unstructured.Unstructured {
	pod := &unstructured.Unstructured{}
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": %q, "namespace": %q},
		"spec": {"restartPolicy": "Never", "containers": [{"name": "container-0", "image": "example.com/build:1"}]}}`, podName, s.namespace)
	if err := json.Unmarshal([]byte(text), &pod.Object); err != nil {
		panic(err)
	}
	for field, more := range map[string]string{"metadata": metadata, "spec": spec} {
		if more != "" {
			merge(pod, field, more)
		}
	}
	return pod
}

// merge sets fields of an object in a pod.
func merge(pod *unstructured.Unstructured, field, text string) {
	var more map[string]any
	if err := json.Unmarshal([]byte(text), &more); err != nil {
		panic(err)
	}
	into, isObject := pod.Object[field].(map[string]any)
	if !isObject {
		panic(field + " is no object")
	}
	maps.Copy(into, more)
}

// creates has the dispatcher's client create a pod, with all rights.
func (s *stage) creates(metadata, spec string) func(context.Context) error {
	return s.createsWith(s.client, metadata, spec)
}

func (s *stage) createsWith(client kubernetes.Interface, metadata, spec string) func(context.Context) error {
	pods, pod := dispatcher.NewPodClient(client, nil), s.pod(metadata, spec)
	return func(ctx context.Context) error {
		created, err := pods.Submit(ctx, pod.DeepCopy())
		if err == nil {
			// The rule is not in force yet.
			return pods.Delete(ctx, created, false)
		}
		return err
	}
}

// withToken is a client with a token of its own; empty is that of the dispatcher's
// service account.
func (s *stage) withToken(t *testing.T, token string) kubernetes.Interface {
	t.Helper()
	path := s.plane.Kubeconfig
	if token == "" {
		var err error
		if path, err = s.plane.ServiceAccountKubeconfig(t.Context(), "dispatcher"); err != nil {
			t.Fatal(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		config.BearerToken, config.BearerTokenFile = token, ""
	}
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

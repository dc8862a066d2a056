package dispatchbench

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/google/uuid"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// concurrency is the dispatcher's default of pods being created at once.
const concurrency = 25

const floorAccount = "floor"

// floor creates the pods that the mutator makes of the dispatcher's, with the
// dispatcher's own client, and nothing else: neither webhook nor policy hears of
// them, as they lack our label.
type floor struct {
	bed    *testbed.Testbed
	client *dispatcher.PodClient
	final  *unstructured.Unstructured
}

// newFloor makes the floor's service account, with the dispatcher's rights, so that
// the API server's fairness treats both alike.
func newFloor(ctx context.Context, bed *testbed.Testbed, final *unstructured.Unstructured) (*floor, error) {
	client := bed.Plane.Client()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: floorAccount}}
	if _, err := client.CoreV1().ServiceAccounts(controlplane.SystemNamespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("make the floor's service account: %w", err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: floorAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "dispatcher"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: floorAccount, Namespace: controlplane.SystemNamespace}},
	}
	if _, err := client.RbacV1().RoleBindings(controlplane.JobNamespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("give the floor its rights: %w", err)
	}
	path, err := bed.Plane.ServiceAccountKubeconfig(ctx, floorAccount)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("read the floor's kubeconfig: %w", err)
	}
	// As cmd/dispatcher has it.
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	connected, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the floor's client: %w", err)
	}
	return &floor{bed: bed, client: dispatcher.NewPodClient(connected, nil), final: final}, nil
}

// finalPod returns what became of one of the dispatcher's pods, without our label,
// and without what the API server fills in.
func finalPod(ctx context.Context, bed *testbed.Testbed) (*unstructured.Unstructured, error) {
	pods, err := bed.Plane.Client().CoreV1().Pods(controlplane.JobNamespace).List(ctx, metav1.ListOptions{LabelSelector: contract.InjectLabel, Limit: 1})
	if err != nil || len(pods.Items) == 0 {
		return nil, fmt.Errorf("find a pod of the dispatcher's: %d found: %w", len(pods.Items), err)
	}
	pod := pods.Items[0]
	if containers := len(pod.Spec.Containers); containers != 4 {
		return nil, fmt.Errorf("the dispatcher's pods have %d containers, not 4", containers)
	}
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.ObjectMeta = metav1.ObjectMeta{Namespace: pod.Namespace, Labels: pod.Labels, Annotations: pod.Annotations}
	delete(pod.Labels, contract.InjectLabel)
	pod.Spec.NodeName = ""
	pod.Status = corev1.PodStatus{}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&pod)
	if err != nil {
		return nil, fmt.Errorf("encode the final pod: %w", err)
	}
	delete(object, "status")
	return &unstructured.Unstructured{Object: object}, nil
}

// create makes so many pods and returns how long that took.
func (f *floor) create(ctx context.Context, count int) (time.Duration, error) {
	names := make(chan string)
	var running sync.WaitGroup
	var failure error
	var once sync.Once
	began := time.Now()
	for range concurrency {
		running.Go(func() {
			for name := range names {
				pod := f.final.DeepCopy()
				pod.SetName(contract.JobPrefix + name)
				pod.SetLabels(withJob(pod.GetLabels(), name))
				if _, err := f.client.Submit(ctx, pod); err != nil {
					once.Do(func() { failure = err })
				}
			}
		})
	}
	for range count {
		names <- uuid.NewString()
	}
	close(names)
	running.Wait()
	return time.Since(began), failure
}

func withJob(labels map[string]string, uuid string) map[string]string {
	labels[contract.JobUUIDLabel] = uuid
	return labels
}

package endtoend

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// toyLabel sends a pod to the webhook of one test.
const toyLabel = "toy.example.com/webhook"

// toy is somebody else's mutating webhook, in this process.
type toy struct {
	// configuration is the name of its MutatingWebhookConfiguration, which says
	// whether it comes before ours.
	configuration string
	reinvocation  string
	change        func(*corev1.Pod)
	reviews       atomic.Int32
}

func (w *toy) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	w.reviews.Add(1)
	var pod corev1.Pod
	if err := json.Unmarshal(review.Request.Object.Raw, &pod); err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	w.change(&pod)
	changed, err := json.Marshal(&pod)
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := admission.PatchResponseFromRaw(review.Request.Object.Raw, changed)
	if err := answer.Complete(admission.Request{AdmissionRequest: *review.Request}); err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	review.Response, review.Request = &answer.AdmissionResponse, nil
	text, err := json.Marshal(review)
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	_, _ = response.Write(text)
}

// serve registers the webhook for the pods with the test's label, and waits until
// the API server calls it.
func (w *toy) serve(t *testing.T, label string) {
	t.Helper()
	chain, key, err := cert.GenerateSelfSignedCertKey(nodeIP, []net.IP{net.ParseIP(nodeIP)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", nodeIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	manifest := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: %s}
webhooks:
- name: toy.example.com
  admissionReviewVersions: [v1]
  clientConfig: {url: "https://%s/", caBundle: %s}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  objectSelector: {matchLabels: {%s: %q}}
  failurePolicy: Fail
  reinvocationPolicy: %s
  sideEffects: None
`, w.configuration, listener.Addr(), base64.StdEncoding.EncodeToString(chain), toyLabel, label, w.reinvocation)
	if status, output := tryKubectl(t, manifest, "apply", "-f", "-"); status != 0 {
		t.Fatal(output)
	}
	t.Cleanup(func() {
		if _, err := kube.Run(context.Background(), "delete", "mutatingwebhookconfiguration", w.configuration); err != nil {
			t.Error(err)
		}
		_ = server.Close()
	})
	probe := `{apiVersion: v1, kind: Pod, metadata: {name: probe, labels: {` + toyLabel + `: "` + label + `"}}, spec: {containers: [{name: a, image: a}]}}`
	eventually(t, "the API server to call "+w.configuration, func(ctx context.Context) (bool, error) {
		_, err := kube.RunInput(ctx, probe, "-n", jobNamespace, "create", "--dry-run=server", "-f", "-")
		return w.reviews.Load() > 0, err
	})
	w.reviews.Store(0)
}

// allContainers are a pod's containers of both kinds.
func allContainers(pod *corev1.Pod) []*corev1.Container {
	var all []*corev1.Container
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}

// addToAll adds what service meshes, secret injectors and platform teams add, to
// every container that does not have it.
func addToAll(pod *corev1.Pod) {
	isToy := func(c corev1.Container) bool { return strings.HasPrefix(c.Name, "toy-") }
	if !slices.ContainsFunc(pod.Spec.Containers, isToy) {
		sidecar := corev1.Container{Name: "toy-sidecar", Image: pulled[images.Shell], Command: []string{"sleep", "3"}}
		pod.Spec.Containers = slices.Insert(pod.Spec.Containers, 0, sidecar)
		prepare := corev1.Container{Name: "toy-init", Image: pulled[images.Shell], Command: []string{"sh", "-c", "echo from the toy > /toy/file"}}
		pod.Spec.InitContainers = slices.Insert(pod.Spec.InitContainers, 0, prepare)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "toy", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	pod.Labels["toy.example.com/seen"] = "yes"
	for _, container := range allContainers(pod) {
		if !slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "TOY" }) {
			container.Env = slices.Insert(container.Env, 0, corev1.EnvVar{Name: "TOY", Value: "there"})
		}
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "toy" }) {
			container.VolumeMounts = slices.Insert(container.VolumeMounts, 0, corev1.VolumeMount{Name: "toy", MountPath: "/toy"})
		}
		if container.SecurityContext == nil {
			container.SecurityContext = &corev1.SecurityContext{}
		}
		container.SecurityContext.RunAsUser = new(int64(1000))
	}
}

// TestAnotherWebhook: what another webhook adds stays, wherever it comes in the
// order, and the job runs with it.
func TestAnotherWebhook(t *testing.T) {
	t.Parallel()
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			label := "adds-" + place.name
			w := &toy{configuration: place.configuration("adds"), reinvocation: "IfNeeded", change: addToAll}
			w.serve(t, label)
			pod := apply(t, runner{queue: label, labels: map[string]string{toyLabel: label}}.pod())
			if reviews := w.reviews.Load(); reviews != 2 {
				t.Errorf("the other webhook was asked %d times, want 2", reviews)
			}
			b, j := waiting(t, label, `echo "<$TOY> $(cat /toy/file) as $(id -u)"`)
			b.passes(t)
			j.logs(t, "<there> from the toy as 1000")

			made, err := getPod(t.Context(), pod)
			if err != nil {
				t.Fatal(err)
			}
			for _, container := range allContainers(made) {
				if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "toy" }) {
					t.Errorf("the container %s lost what the other webhook added", container.Name)
				}
			}
			if made.Labels["toy.example.com/seen"] != "yes" {
				t.Errorf("labels %v", made.Labels)
			}
			waitPodEnded(t, pod)
		})
	}
}

// TestKnownSidecarOfAnotherWebhook: with no list of job containers a container
// that came before us is left alone if its name is known.
func TestKnownSidecarOfAnotherWebhook(t *testing.T) {
	t.Parallel()
	w := &toy{configuration: "00-aaa-toy-mesh", reinvocation: "Never", change: func(pod *corev1.Pod) {
		proxy := corev1.Container{Name: "istio-proxy", Image: pulled[images.Shell], Command: []string{"sh", "-c", "echo proxy; sleep 3"}}
		pod.Spec.Containers = append([]corev1.Container{proxy}, pod.Spec.Containers...)
	}}
	w.serve(t, "mesh")
	manifest := runner{queue: "mesh", labels: map[string]string{toyLabel: "mesh"}}.pod()
	pod := apply(t, strings.Replace(manifest, contract.JobContainersAnnotation+": mine", "example.com/none: none", 1))
	b, j := waiting(t, "mesh", "echo beside a proxy")
	b.passes(t)
	j.logs(t, "beside a proxy")
	waitPodEnded(t, pod)
	if log := kubectl(t, "logs", pod, "-c", "istio-proxy"); log != "proxy\n" {
		t.Errorf("the proxy's log is %q: something else ran in its container", log)
	}
}

// TestAnotherWebhookThatChangesWhatIsOurs: a pod in which the entrypoint or the
// agent is not what we put there does not come to be, and the refusal says which
// field it was.
func TestAnotherWebhookThatChangesWhatIsOurs(t *testing.T) {
	t.Parallel()
	changes := map[string]struct {
		change func(*corev1.Pod)
		want   []string
	}{
		"images": {func(pod *corev1.Pod) {
			for _, container := range allContainers(pod) {
				if !strings.HasPrefix(container.Image, "mirror.example.com/") {
					container.Image = "mirror.example.com/" + container.Image
				}
			}
		}, []string{"spec.containers[1].image: Forbidden", "another webhook", "agentImage"}},
		"command": {func(pod *corev1.Pod) {
			for _, container := range allContainers(pod) {
				if len(container.Command) > 0 && container.Command[0] != "/toy/exec" {
					container.Command = append([]string{"/toy/exec"}, container.Command...)
				}
			}
		}, []string{"spec.containers[0].command: Forbidden", "another webhook"}},
		"token": {func(pod *corev1.Pod) {
			for i := range pod.Spec.Volumes {
				if secret := pod.Spec.Volumes[i].Secret; secret != nil {
					secret.SecretName = "other"
				}
			}
		}, []string{"secretName: Forbidden", "another webhook"}},
	}
	for name, tc := range changes {
		for _, place := range places {
			t.Run(name+"/"+place.name, func(t *testing.T) {
				label := "changes-" + name + "-" + place.name
				w := &toy{configuration: place.configuration("changes-" + name), reinvocation: "IfNeeded", change: tc.change}
				w.serve(t, label)
				manifest := runner{queue: label, labels: map[string]string{toyLabel: label}, command: []string{"true"}}.pod()
				err := tryApply(t, jobNamespace, manifest)
				if err == nil {
					t.Fatal("the pod was admitted")
				}
				t.Log(err)
				for _, want := range tc.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the refusal lacks %q:\n%v", want, err)
					}
				}
			})
		}
	}
}

type place struct{ name, prefix string }

// places are the two sides of our webhook: configurations are called in the
// order of their names.
var places = []place{{"before", "00-aaa-toy-"}, {"after", "99-toy-"}}

func (p place) configuration(suffix string) string { return p.prefix + suffix }

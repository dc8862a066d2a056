package mutator

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// FuzzPodSpecPatch: whatever an author's patch is, nothing panics, a pod that is
// accepted keeps its containers in their order, has the injected ones as the
// plan prescribes them, and can be told to the API server.
func FuzzPodSpecPatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"containers":null}`, `{"containers":[{"name":"test","image":"a","env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"a"}}}]}]}`,
		`{"containers":[{"name":"agent","resources":{"limits":{"cpu":1,"memory":"1Gi"}}},{"name":"b","image":"b"},{"name":"second","args":null}]}`,
		`{"initContainers":[{"name":"install-entrypoint","resources":null},{"name":"prepare","command":["a"]}],"volumes":[{"name":"v","configMap":{"name":"c"}}]}`,
		`{"tolerations":[{"key":"a"}],"nodeSelector":{"a":null,"b":"c"},"affinity":{"nodeAffinity":null},"securityContext":{"runAsUser":1e3}}`,
		`{"$patch":"replace","containers":[{"$patch":"delete","name":"test"}],"$setElementOrder/containers":[]}`,
		`{"overhead":{"cpu":"x"},"ports":{},"hostAliases":[{"ip":"1","hostnames":["a"]}],"topologySpreadConstraints":[{"topologyKey":"k","maxSkew":1}]}`,
	} {
		f.Add([]byte(seed))
	}
	config, errs := ParseConfig([]byte(minimalConfig + "podSpecPatch: {nodeSelector: {disk: ssd}, containers: [{name: test, env: [{name: A, value: platform}]}]}\n"))
	if len(errs) > 0 {
		f.Fatal(errs.ToAggregate())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		pod := mergePod(`{"podSpecPatch":`+string(text)+`}`, func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "second", Image: "own", Args: []string{"a"}})
			pod.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "own"}}
			pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		})
		raw := jsonText(t, pod)
		result, errs := config.Mutate(pod)
		if len(errs) > 0 {
			return
		}
		if _, err := (patch.Options{Originals: result.Originals}).Create(raw, pod); err != nil {
			t.Fatalf("the API server cannot be told: %v", err)
		}
		names := containerNames(pod.Spec.Containers)
		if !isSubsequence([]string{"test", "second", contract.AgentContainer, contract.CheckoutContainer}, names) {
			t.Fatalf("containers are %v", names)
		}
		again := pod.DeepCopy()
		if _, errs := config.Mutate(again); len(errs) > 0 {
			t.Fatalf("second pass refused: %v", errs.ToAggregate())
		}
	})
}

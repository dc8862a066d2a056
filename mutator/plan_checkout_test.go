package mutator

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestSkipFetch: what the clone has brought is not asked for again, unless it may be
// out of date or the fetch is told to bring more.
func TestSkipFetch(t *testing.T) {
	claim := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "cache"}}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	workspace := func(source corev1.VolumeSource) func(*corev1.Pod, *Config) {
		return func(pod *corev1.Pod, _ *Config) {
			pod.Spec.Volumes = []corev1.Volume{{Name: "other", VolumeSource: empty}, {Name: contract.WorkspaceVolume, VolumeSource: source}}
		}
	}
	plugin := func(text string) func(*corev1.Pod, *Config) {
		return func(pod *corev1.Pod, _ *Config) { pod.Annotations[contract.PluginAnnotation] = text }
	}
	flags := "--tags"
	cases := map[string]struct {
		annotation string
		change     func(*corev1.Pod, *Config)
		want       bool
	}{
		"asked for":                  {"true", func(*corev1.Pod, *Config) {}, true},
		"not asked for":              {"", func(*corev1.Pod, *Config) {}, false},
		"asked not to":               {"false", func(*corev1.Pod, *Config) {}, false},
		"an empty workspace":         {"true", workspace(empty), true},
		"a workspace of its own":     {"true", workspace(claim), false},
		"a workspace of everybody's": {"true", func(_ *corev1.Pod, config *Config) { config.WorkspaceVolume = &claim }, false},
		"flags of the author's":      {"true", plugin("checkout: {fetchFlags: --tags}"), false},
		"flags of the platform's":    {"true", func(_ *corev1.Pod, config *Config) { config.DefaultCheckoutParams.FetchFlags = &flags }, false},
		"flags of the agent's": {"true", func(_ *corev1.Pod, config *Config) {
			config.Agent.Env = map[string]string{"BUILDKITE_GIT_FETCH_FLAGS": flags}
		}, false},
		"flags for the clone": {"true", plugin("checkout: {cloneFlags: --depth 1}"), true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := goldenConfig(t, "")
			pod := jobPod(func(pod *corev1.Pod, _ *corev1.Container) {
				if tc.annotation != "" {
					pod.Annotations[contract.SkipFetchAnnotation] = tc.annotation
				}
				tc.change(pod, &config)
			})
			if _, errs := config.Mutate(pod); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			checkout := findContainer(pod.Spec.Containers, contract.CheckoutContainer)
			got := slices.Contains(checkout.Env, env(skipFetchVariable, "true"))
			if got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

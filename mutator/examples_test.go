package mutator

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestExamplePods mutates the pods that the examples make.
func TestExamplePods(t *testing.T) {
	var cronJob batchv1.CronJob
	if err := yaml.UnmarshalStrict([]byte(readFile(t, "../manifests/examples/cronjob.yaml")), &cronJob); err != nil {
		t.Fatal(err)
	}
	template := cronJob.Spec.JobTemplate.Spec.Template
	var job batchv1.Job
	if err := yaml.UnmarshalStrict([]byte(readFile(t, "../manifests/examples/job.yaml")), &job); err != nil {
		t.Fatal(err)
	}
	config := goldenConfig(t, "")
	for name, pod := range map[string]*corev1.Pod{
		"hand-made-pod.yaml": decodePod(t, readFile(t, "../manifests/examples/hand-made-pod.yaml")),
		"cronjob.yaml":       {ObjectMeta: template.ObjectMeta, Spec: template.Spec},
		"job.yaml":           {ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec},
	} {
		result, errs := config.Mutate(pod)
		if len(errs) > 0 || len(result.Warnings) > 0 {
			t.Errorf("%s: errors %v, warnings %v, want neither", name, errs.ToAggregate(), result.Warnings)
		}
	}
}

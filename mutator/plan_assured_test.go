package mutator

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestAssuredCheckout: the agent waits for a checkout that may not come.
func TestAssuredCheckout(t *testing.T) {
	secret := corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "key"}}
	podName := corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}
	fromSecret := []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
	mounts := []corev1.VolumeMount{{Name: "tools", MountPath: "/tools"}}
	image := []corev1.Volume{{Name: "tools", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}}}
	empty := []corev1.Volume{{Name: "tools"}}
	patched := func(addition InjectedPatch) func(*Plan) {
		return func(p *Plan) { p.Injected = map[string]InjectedPatch{contract.CheckoutContainer: addition} }
	}
	cases := map[string]struct {
		change  func(*Plan)
		volumes []corev1.Volume
		want    bool
	}{
		"plain":                      {func(*Plan) {}, nil, true},
		"digest":                     {func(p *Plan) { p.AgentImage = "example.com/agent@sha256:1" }, nil, true},
		"latest, if not present":     {func(p *Plan) { p.AgentImage, p.AgentImagePullPolicy = "agent", corev1.PullIfNotPresent }, nil, true},
		"latest":                     {func(p *Plan) { p.AgentImage = "example.com/agent:latest" }, nil, false},
		"no tag":                     {func(p *Plan) { p.AgentImage = "example.com:5000/agent" }, nil, false},
		"pulled each time":           {func(p *Plan) { p.AgentImagePullPolicy = corev1.PullAlways }, nil, false},
		"another image":              {func(p *Plan) { p.Checkout.Image = "git:2" }, nil, false},
		"variables of a Secret":      {func(p *Plan) { p.Checkout.EnvFrom = fromSecret }, nil, false},
		"variable of a Secret":       {func(p *Plan) { p.Checkout.Env = []corev1.EnvVar{{Name: "A", ValueFrom: &secret}} }, nil, false},
		"variable of the pod":        {func(p *Plan) { p.Checkout.Env = []corev1.EnvVar{{Name: "A", ValueFrom: &podName}} }, nil, true},
		"plain variable":             {func(p *Plan) { p.Checkout.Env = []corev1.EnvVar{{Name: "A", Value: "b"}} }, nil, true},
		"platform's Secret":          {patched(InjectedPatch{EnvFrom: fromSecret}), nil, false},
		"platform's variable":        {patched(InjectedPatch{Env: []corev1.EnvVar{{Name: "A", ValueFrom: &secret}}}), nil, false},
		"platform's image volume":    {patched(InjectedPatch{Mounts: mounts}), image, false},
		"volume":                     {func(p *Plan) { p.Checkout.Mounts = mounts }, empty, true},
		"image volume":               {func(p *Plan) { p.Checkout.Mounts = mounts }, image, false},
		"image volume of the plan's": {func(p *Plan) { p.Checkout.Mounts, p.Volumes = mounts, image }, nil, false},
		"image volume of others":     {func(*Plan) {}, image, true},
		"path in a volume":           {func(p *Plan) { p.Checkout.Mounts = []corev1.VolumeMount{{Name: "tools", SubPath: "a"}} }, empty, false},
		"path with a variable":       {func(p *Plan) { p.Checkout.Mounts = []corev1.VolumeMount{{Name: "tools", SubPathExpr: "$(A)"}} }, empty, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := Plan{AgentImage: "example.com/agent:3", Checkout: &ContainerPlan{Name: contract.CheckoutContainer}}
			tc.change(&plan)
			plan.assureCheckout(tc.volumes)
			if plan.Checkout.Assured != tc.want {
				t.Errorf("assured is %v", plan.Checkout.Assured)
			}
		})
	}
	var none Plan
	none.assureCheckout(nil)
	if none.Checkout != nil {
		t.Error("a checkout was planned where there is none")
	}
}

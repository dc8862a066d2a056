package mutator

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const (
	passwdPath = "/etc/passwd"
	passwdFile = "passwd"
)

// addPasswd gives the checkout container an /etc/passwd that knows its user: a
// file of the downward API, which needs no root to write it and no writable
// image. Programs there, OpenSSH first of all, take a user's home from it.
func addPasswd(pod *corev1.Pod, plan *Plan) {
	checkout := findContainer(pod.Spec.Containers, contract.CheckoutContainer)
	if plan.User.Passwd == "" || plan.Checkout == nil || checkout == nil {
		return
	}
	setAnnotation(pod, contract.PasswdAnnotation, plan.User.Passwd)
	// Kubernetes' defaults are written out, so that a second admission finds
	// what the first one wrote. Everybody may read the file, as is the custom:
	// checkout's user is not the one who owns it.
	mode := int32(0o644)
	ensureVolume(pod, corev1.Volume{Name: contract.PasswdVolume, VolumeSource: corev1.VolumeSource{
		DownwardAPI: &corev1.DownwardAPIVolumeSource{
			DefaultMode: &mode,
			Items: []corev1.DownwardAPIVolumeFile{{
				Path:     passwdFile,
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations['" + contract.PasswdAnnotation + "']"},
			}},
		},
	}})
	ensureMount(checkout, corev1.VolumeMount{Name: contract.PasswdVolume, MountPath: passwdPath, SubPath: passwdFile, ReadOnly: true})
}

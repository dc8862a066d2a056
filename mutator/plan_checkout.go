package mutator

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// readCheckout plans the checkout container. How to clone goes to the agent,
// which hands it on.
func (r *reading) readCheckout() {
	checkout := r.plugin.Checkout
	skipFetch := r.boolean(contract.SkipFetchAnnotation)
	if checkout.Skip {
		return
	}
	r.errs = append(r.errs, checkout.validate(pluginPath.Child("checkout"))...)
	r.plan.Checkout = &ContainerPlan{
		Name:    contract.CheckoutContainer,
		EnvFrom: slices.Concat(r.config.DefaultCheckoutParams.EnvFrom, checkout.EnvFrom, r.plugin.GitEnvFrom),
		Mounts:  r.extraMounts(nil, checkout.ExtraVolumeMounts, r.config.DefaultCheckoutParams.ExtraVolumeMounts),
	}
	if skipFetch && !r.wantsFetch(checkout) {
		// As a variable of the agent's it would win over an author's false.
		r.plan.Checkout.Env = append(r.plan.Checkout.Env, env(skipFetchVariable, "true"))
	}
	r.readGitFlags(checkout)
	r.readGitMirrors(checkout.GitMirrors)
	r.readGitCredentials(checkout.GitCredentialsSecret)
	r.readCheckoutKeys(checkout)
}

const (
	fetchFlagsVariable = "BUILDKITE_GIT_FETCH_FLAGS"
	skipFetchVariable  = "BUILDKITE_GIT_SKIP_FETCH_EXISTING_COMMITS"
)

// wantsFetch says whether git fetch has something to bring although the commit is
// there: in a workspace that has been filled before the branches of today, and with
// flags whatever they are for.
func (r *reading) wantsFetch(checkout CheckoutParams) bool {
	_, flags := r.config.Agent.Env[fetchFlagsVariable]
	return flags || checkout.FetchFlags != nil || !r.startsEmpty()
}

// startsEmpty says whether the workspace is made with the pod.
func (r *reading) startsEmpty() bool {
	if r.plan.WorkspaceVolume != nil {
		return r.plan.WorkspaceVolume.EmptyDir != nil
	}
	return slices.ContainsFunc(r.pod.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.Name == contract.WorkspaceVolume && volume.EmptyDir != nil
	})
}

func (r *reading) readGitFlags(checkout CheckoutParams) {
	for _, flag := range []struct {
		variable string
		value    *string
	}{
		{"BUILDKITE_GIT_CLONE_FLAGS", checkout.CloneFlags},
		{fetchFlagsVariable, checkout.FetchFlags},
		{"BUILDKITE_GIT_CLEAN_FLAGS", checkout.CleanFlags},
		{"BUILDKITE_GIT_CHECKOUT_FLAGS", checkout.CheckoutFlags},
	} {
		if flag.value != nil {
			r.setGitEnv(flag.variable, *flag.value)
		}
	}
	if checkout.NoSubmodules != nil {
		r.setGitEnv("BUILDKITE_NO_GIT_SUBMODULES", strconv.FormatBool(*checkout.NoSubmodules))
	}
	if len(checkout.SubmoduleCloneConfig) > 0 {
		r.setGitEnv("BUILDKITE_GIT_SUBMODULE_CLONE_CONFIG", strings.Join(checkout.SubmoduleCloneConfig, ","))
	}
}

func (r *reading) setGitEnv(name, value string) {
	r.plan.GitEnv = append(r.plan.GitEnv, env(name, literal(value)))
}

func (r *reading) readGitMirrors(mirrors *GitMirrors) {
	if mirrors == nil || mirrors.Volume == nil {
		return
	}
	r.plan.Volumes = append(r.plan.Volumes, renamed(mirrors.Volume, contract.GitMirrorsVolume))
	r.mountOurs(r.plan.Checkout, corev1.VolumeMount{Name: contract.GitMirrorsVolume, MountPath: mirrors.path()})
	r.setGitEnv("BUILDKITE_GIT_MIRRORS_PATH", mirrors.path())
	// A clone that refers to the mirror would be broken in the job containers,
	// which do not have it.
	r.setGitEnv("BUILDKITE_GIT_MIRROR_CHECKOUT_MODE", "dissociate")
	if mirrors.CloneFlags != nil {
		r.setGitEnv(mirrorFlagsVariable, *mirrors.CloneFlags)
	}
	if mirrors.LockTimeout != nil {
		r.setGitEnv("BUILDKITE_GIT_MIRRORS_LOCK_TIMEOUT", strconv.FormatInt(*mirrors.LockTimeout, 10))
	}
	if mirrors.SkipUpdate != nil {
		r.setGitEnv("BUILDKITE_GIT_MIRRORS_SKIP_UPDATE", strconv.FormatBool(*mirrors.SkipUpdate))
	}
}

// credentialHelper gives git the credentials of the file. It never writes: git
// offers a helper every password that worked, and asks it to forget those that
// did not.
const credentialHelper = `!f() { test "$1" = get && git credential-store --file=` + contract.GitCredentialsFile + ` get; }; f`

func (r *reading) readGitCredentials(secret *GitCredentialsSecret) {
	if secret == nil || secret.SecretName == "" {
		return
	}
	r.plan.Volumes = append(r.plan.Volumes, secret.volume())
	r.mountOurs(r.plan.Checkout, corev1.VolumeMount{Name: contract.GitCredentialsVolume, MountPath: contract.GitCredentialsPath, ReadOnly: true})
	r.plan.Checkout.Env = append(r.plan.Checkout.Env,
		env("GIT_CONFIG_COUNT", "1"),
		env("GIT_CONFIG_KEY_0", "credential.helper"),
		env("GIT_CONFIG_VALUE_0", literal(credentialHelper)),
	)
}

// readCheckoutKeys decides where checkout has its SSH keys. Those of its own
// variables are not the job containers'.
func (r *reading) readCheckoutKeys(checkout CheckoutParams) {
	private := len(r.checkoutVariables(checkout)) > 0
	if !private && r.sharesKeys() {
		return
	}
	r.plan.Volumes = append(r.plan.Volumes, corev1.Volume{Name: contract.SSHVolume, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory},
	}})
	r.mountOurs(r.plan.Checkout, corev1.VolumeMount{Name: contract.SSHVolume, MountPath: contract.PrivateSSHPath})
	r.plan.Checkout.SSHDirectory = contract.PrivateSSHPath
}

func (r *reading) sharesKeys() bool {
	return ptr.Deref(r.config.SSH.ShareKeys, true)
}

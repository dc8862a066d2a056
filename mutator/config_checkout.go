package mutator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// GitMirrors keeps mirrors of repositories in a volume that outlives the pod,
// so that a checkout fetches only what is new. Only checkout mounts it: the
// clone gets copies of the objects, because the mirrors may be of repositories
// that the job has no right to.
type GitMirrors struct {
	// Path is where the volume is mounted. Default contract.GitMirrorsPath.
	Path string `json:"path,omitempty"`
	// Volume is any volume of Kubernetes'. Its name does not count. Required.
	Volume *corev1.Volume `json:"volume,omitempty"`
	// CloneFlags are those of git clone --mirror. Default the agent's, "-v".
	CloneFlags *string `json:"cloneFlags,omitempty"`
	// LockTimeout is how many seconds a checkout waits for another one that
	// uses the mirror. Default the agent's, 300.
	LockTimeout *int64 `json:"lockTimeout,omitempty"`
	// SkipUpdate takes a mirror as it is, if it has the commit.
	SkipUpdate *bool `json:"skipUpdate,omitempty"`
}

// GitCredentialsSecret is a Secret with the file .git-credentials, in the format
// of git credential-store. A string is the Secret's name.
type GitCredentialsSecret struct {
	corev1.SecretVolumeSource `json:",inline"`
}

// UnmarshalJSON takes a name or a Secret volume source, without unknown fields.
func (s *GitCredentialsSecret) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &s.SecretName)
	}
	if len(data) == 0 || data[0] != '{' {
		return errors.New("want the name of a Secret, or an object with secretName")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s.SecretVolumeSource); err != nil {
		return fmt.Errorf("not the source of a Secret volume: %w", err)
	}
	return nil
}

func (c CheckoutParams) validate(at *field.Path) field.ErrorList {
	errs := validateItems(at.Child("submoduleCloneConfig"), c.SubmoduleCloneConfig)
	if c.GitMirrors != nil {
		errs = append(errs, c.GitMirrors.validate(at.Child("gitMirrors"))...)
	}
	if secret := c.GitCredentialsSecret; secret != nil {
		errs = append(errs, secret.validate(at.Child("gitCredentialsSecret"))...)
	}
	return errs
}

func (m *GitMirrors) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.Volume == nil {
		errs = append(errs, field.Required(at.Child("volume"), "give the volume that the mirrors are in; one that ends with the pod would mirror nothing"))
	} else {
		errs = append(errs, validateVolume(at.Child("volume"), m.Volume)...)
	}
	errs = append(errs, validateMountPath(at.Child("path"), m.path())...)
	if timeout := m.LockTimeout; timeout != nil && *timeout < 1 {
		errs = append(errs, field.Invalid(at.Child("lockTimeout"), *timeout, "want a number of seconds, 1 or more"))
	}
	return errs
}

func (m *GitMirrors) path() string {
	if m.Path == "" {
		return contract.GitMirrorsPath
	}
	return m.Path
}

func (s *GitCredentialsSecret) validate(at *field.Path) field.ErrorList {
	if s.SecretName == "" {
		return field.ErrorList{field.Required(at.Child("secretName"), "name the Secret")}
	}
	errs := validateSecretName(at.Child("secretName"), s.SecretName)
	name := path.Base(contract.GitCredentialsFile)
	if len(s.Items) > 0 && !slices.ContainsFunc(s.Items, func(item corev1.KeyToPath) bool { return path.Clean(item.Path) == name }) {
		errs = append(errs, field.Invalid(at.Child("items"), field.OmitValueType{}, "git reads the file "+name+"; give one item this path"))
	}
	return errs
}

// volume is readable for every user: only checkout mounts it, and who that runs
// as is not always known.
func (s *GitCredentialsSecret) volume() corev1.Volume {
	source := s.DeepCopy()
	source.DefaultMode = new(ptr.Deref(source.DefaultMode, 0o444))
	return corev1.Volume{Name: contract.GitCredentialsVolume, VolumeSource: corev1.VolumeSource{Secret: source}}
}

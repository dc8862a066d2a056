package mutator

import (
	"path"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// agentDirectory is a directory of the agent's settings, of a volume if there
// is one.
type agentDirectory struct {
	// keys are where it is in AgentConfig, and index in a list there, or -1;
	// pathKey is the key of its path.
	keys    []string
	index   int
	pathKey string

	volumeName string
	volume     *corev1.Volume
	// mountPath is empty where neither path nor volume are given.
	mountPath string
	readOnly  bool
	// fileName is the key's, where the directory is one for a key.
	fileName string
	// inCheckout and inJobs say who mounts the volume beside the agent.
	inCheckout, inJobs bool
}

// directories are all directories of the agent's settings, given or not.
func (c AgentConfig) directories() []agentDirectory {
	return append([]agentDirectory{c.hooks(), c.plugins(), c.signingKey(), c.verificationKey()}, c.additionalHooks()...)
}

func (c AgentConfig) hooks() agentDirectory {
	return agentDirectory{
		keys: []string{"hooks"}, index: -1, pathKey: "path",
		volumeName: contract.AgentHooksVolume, volume: c.Hooks.Volume,
		mountPath: c.Hooks.pathOr(contract.AgentHooksPath),
		readOnly:  true, inCheckout: true, inJobs: true,
	}
}

func (c AgentConfig) additionalHooks() []agentDirectory {
	var directories []agentDirectory
	for i, hooks := range c.AdditionalHooks {
		directories = append(directories, agentDirectory{
			keys: []string{"additionalHooks"}, index: i, pathKey: "path",
			volumeName: contract.AdditionalHooksVolumePrefix + strconv.Itoa(i), volume: hooks.Volume,
			mountPath: hooks.pathOr(contract.AgentHooksPath + "-" + strconv.Itoa(i)),
			readOnly:  true, inCheckout: true, inJobs: true,
		})
	}
	return directories
}

func (c AgentConfig) additionalHooksPaths() []string {
	var paths []string
	for _, directory := range c.additionalHooks() {
		paths = append(paths, directory.mountPath)
	}
	return paths
}

// plugins may be written to: the agent clones plugins that are not there.
func (c AgentConfig) plugins() agentDirectory {
	return agentDirectory{
		keys: []string{"plugins"}, index: -1, pathKey: "path",
		volumeName: contract.AgentPluginsVolume, volume: c.Plugins.Volume,
		mountPath:  c.Plugins.pathOr(contract.AgentPluginsPath),
		inCheckout: true, inJobs: true,
	}
}

// signingKey is for the jobs too: they upload the pipelines that are signed.
func (c AgentConfig) signingKey() agentDirectory {
	directory := keyDirectory(c.Signing.JWKSFile, c.Signing.Volume, contract.SigningKeyPath)
	directory.keys, directory.volumeName, directory.inJobs = []string{"signing"}, contract.SigningKeyVolume, true
	return directory
}

func (c AgentConfig) verificationKey() agentDirectory {
	directory := keyDirectory(c.Verification.JWKSFile, c.Verification.Volume, contract.VerificationKeyPath)
	directory.keys, directory.volumeName = []string{"verification"}, contract.VerificationKeyVolume
	return directory
}

// keyDirectory is the directory of a key's file, which is absolute or relative
// to the volume.
func keyDirectory(file string, volume *corev1.Volume, standard string) agentDirectory {
	directory := agentDirectory{index: -1, pathKey: "jwksFile", volume: volume, readOnly: true}
	switch {
	case file == "" && volume == nil:
		return directory
	case file == "":
		file = defaultKeyFile
	}
	if volume != nil && !path.IsAbs(file) {
		file = path.Join(standard, file)
	}
	directory.mountPath, directory.fileName = path.Split(file)
	if directory.mountPath != "/" {
		directory.mountPath = path.Clean(directory.mountPath)
	}
	return directory
}

// file is the path of a key, or empty.
func (d agentDirectory) file() string {
	if d.fileName == "" {
		return ""
	}
	return path.Join(d.mountPath, d.fileName)
}

func (d agentDirectory) mount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: d.volumeName, MountPath: d.mountPath, ReadOnly: d.readOnly}
}

// pathOr is the directory's path, by default a standard one if there is a
// volume.
func (c DirectoryConfig) pathOr(standard string) string {
	if c.Path == "" && c.Volume != nil {
		return standard
	}
	return c.Path
}

// renamed is a copy of a volume under a name of ours.
func renamed(volume *corev1.Volume, name string) corev1.Volume {
	result := *volume.DeepCopy()
	result.Name = name
	return result
}

package mutator

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// AgentConfig is how the agents run. What is left out is as the agent has it.
// Settings that would end the agent's work early, let it take other jobs, or
// show its token are not offered.
type AgentConfig struct {
	// Endpoint is agentEndpoint, at the top level.

	// NoHTTP2 keeps the agent to HTTP/1.1.
	NoHTTP2 bool `json:"noHTTP2,omitempty"`
	// Experiments are names of the agent's experiments to turn on.
	Experiments []string `json:"experiments,omitempty"`
	// Shell is what scripts run with in containers that set no BUILDKITE_SHELL.
	// Default contract.DefaultShell.
	Shell string `json:"shell,omitempty"`
	// StrictSingleHooks allows a job one checkout and one command hook.
	StrictSingleHooks bool `json:"strictSingleHooks,omitempty"`
	// NoMultipartArtifactUpload uploads artifacts in one part.
	NoMultipartArtifactUpload bool `json:"noMultipartArtifactUpload,omitempty"`

	// TraceContextEncoding is how BUILDKITE_TRACE_CONTEXT is written: gob (the
	// agent's default) or json.
	TraceContextEncoding string `json:"traceContextEncoding,omitempty"`
	// TracingBackend is datadog or opentelemetry.
	TracingBackend string `json:"tracingBackend,omitempty"`
	// TracingServiceName is the service's name in traces.
	TracingServiceName string `json:"tracingServiceName,omitempty"`
	// TracingPropagateTraceparent continues the trace that Buildkite began.
	TracingPropagateTraceparent bool `json:"tracingPropagateTraceparent,omitempty"`

	// DisableWarningsFor are names of the agent's warnings to leave out.
	DisableWarningsFor []string `json:"disableWarningsFor,omitempty"`
	// Debug makes the agent and its clients say more.
	Debug bool `json:"debug,omitempty"`
	// DebugSigning prints each step that is signed; needs Debug.
	DebugSigning bool `json:"debugSigning,omitempty"`
	// TimestampLines puts the time before each line of a job's log.
	TimestampLines bool `json:"timestampLines,omitempty"`
	// NoPTY runs commands without a pseudo-terminal.
	NoPTY bool `json:"noPTY,omitempty"`

	// GitSkipFetchExistingCommits skips git fetch for a commit that is there.
	GitSkipFetchExistingCommits bool `json:"gitSkipFetchExistingCommits,omitempty"`

	// NoCommandEval runs scripts of the repository only, NoLocalHooks no hooks
	// of the repository, NoPlugins no plugins.
	NoCommandEval bool `json:"noCommandEval,omitempty"`
	NoLocalHooks  bool `json:"noLocalHooks,omitempty"`
	NoPlugins     bool `json:"noPlugins,omitempty"`
	// PluginValidation checks the configuration of plugins before they run.
	PluginValidation bool `json:"pluginValidation,omitempty"`

	// Signing is with what the jobs' pipeline uploads are signed. The job
	// containers have the key.
	Signing SigningConfig `json:"signing,omitzero"`
	// Verification is with what the agent checks jobs. It alone has the key.
	Verification VerificationConfig `json:"verification,omitzero"`

	// Hooks are the agent's hooks, AdditionalHooks those that run before them.
	// Default paths are contract.AgentHooksPath, and that path followed by a
	// hyphen and the index in the list.
	Hooks           DirectoryConfig   `json:"hooks,omitzero"`
	AdditionalHooks []DirectoryConfig `json:"additionalHooks,omitempty"`
	// Plugins are where the agent keeps plugins, so that it need not clone them
	// for each job. Default path contract.AgentPluginsPath.
	Plugins DirectoryConfig `json:"plugins,omitzero"`

	// RedactedVars are patterns of names of variables with secrets, which the
	// agent hides in logs. They add to the agent's own and to those of SSH keys.
	RedactedVars []string `json:"redactedVars,omitempty"`

	// CancelGracePeriod is how many seconds a cancelled job may take to end, its
	// artifacts included. Default the pod's terminationGracePeriodSeconds.
	CancelGracePeriod *int64 `json:"cancelGracePeriod,omitempty"`
	// SignalGracePeriod is how many seconds of them the command may take, from
	// SIGTERM to SIGKILL. Default ten less.
	SignalGracePeriod *int64 `json:"signalGracePeriod,omitempty"`

	// Env are further variables of the agent's container. The agent hands them
	// on to every container of the job: put no secret here.
	Env map[string]string `json:"env,omitempty"`
}

// DirectoryConfig is a directory in the containers of the agent's phases: a
// volume's, or, without a volume, one of their images.
type DirectoryConfig struct {
	// Path is absolute. Where there is a volume it has a default.
	Path string `json:"path,omitempty"`
	// Volume is any volume of Kubernetes'. Its name does not count.
	Volume *corev1.Volume `json:"volume,omitempty"`
}

// SigningConfig is a key to sign pipelines with.
type SigningConfig struct {
	// JWKSFile is an absolute path, or one in the volume. Default, where there
	// is a volume, "key".
	JWKSFile string `json:"jwksFile,omitempty"`
	// JWKSKeyID chooses one of several keys in the file.
	JWKSKeyID string `json:"jwksKeyID,omitempty"`
	// Volume is mounted at contract.SigningKeyPath, or where JWKSFile is.
	Volume *corev1.Volume `json:"volume,omitempty"`
}

// VerificationConfig is a key to verify jobs with.
type VerificationConfig struct {
	// JWKSFile and Volume are as in SigningConfig; the volume is mounted at
	// contract.VerificationKeyPath, or where JWKSFile is.
	JWKSFile string         `json:"jwksFile,omitempty"`
	Volume   *corev1.Volume `json:"volume,omitempty"`
	// FailureBehavior is what becomes of a job that does not verify: block (the
	// agent's default) or warn.
	FailureBehavior string `json:"failureBehavior,omitempty"`
}

// SSHConfig is about the SSH keys that come from variables.
type SSHConfig struct {
	// ShareKeys writes the keys into the workspace, where every container of the
	// job has them. Default true; false keeps those of checkout in checkout and
	// writes none in job containers.
	ShareKeys *bool `json:"shareKeys,omitempty"`
}

// defaultKeyFile is the name of a key in its volume.
const defaultKeyFile = "key"

func (c AgentConfig) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	oneOf := func(name, value string, choices ...string) {
		if value != "" && !slices.Contains(choices, value) {
			errs = append(errs, field.NotSupported(at.Child(name), value, choices))
		}
	}
	oneOf("traceContextEncoding", c.TraceContextEncoding, "gob", "json")
	oneOf("tracingBackend", c.TracingBackend, "datadog", "opentelemetry")
	for _, list := range []struct {
		name  string
		items []string
	}{
		{"experiments", c.Experiments}, {"disableWarningsFor", c.DisableWarningsFor}, {"redactedVars", c.RedactedVars},
	} {
		errs = append(errs, validateItems(at.Child(list.name), list.items)...)
	}
	for i, pattern := range c.RedactedVars {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, field.Invalid(at.Child("redactedVars").Index(i), pattern, "not a pattern; close the bracket"))
		}
	}
	errs = append(errs, c.validateGrace(at)...)
	errs = append(errs, c.validateDirectories(at)...)
	errs = append(errs, c.Verification.validate(at.Child("verification"))...)
	return append(errs, validateAgentEnv(at.Child("env"), c.Env)...)
}

// validateItems checks what the agent takes as a list with commas.
func validateItems(at *field.Path, items []string) field.ErrorList {
	var errs field.ErrorList
	for i, item := range items {
		if strings.TrimSpace(item) == "" || strings.Contains(item, ",") {
			errs = append(errs, field.Invalid(at.Index(i), item, "want one name, without commas; make others items of the list"))
		}
	}
	return errs
}

func (c AgentConfig) validateGrace(at *field.Path) field.ErrorList {
	cancel, signal := c.CancelGracePeriod, c.SignalGracePeriod
	var errs field.ErrorList
	if cancel != nil && *cancel < 1 {
		errs = append(errs, field.Invalid(at.Child("cancelGracePeriod"), *cancel, "want a number of seconds, 1 or more"))
	}
	switch {
	case signal == nil:
	case *signal < 0:
		errs = append(errs, field.Invalid(at.Child("signalGracePeriod"), *signal, "want a number of seconds, 0 or more"))
	case cancel != nil && *signal > *cancel:
		errs = append(errs, field.Invalid(at.Child("signalGracePeriod"), *signal, "more than cancelGracePeriod; the command's time is a part of the job's"))
	}
	return errs
}

func (c VerificationConfig) validate(at *field.Path) field.ErrorList {
	choices := []string{"block", "warn"}
	if c.FailureBehavior == "" || slices.Contains(choices, c.FailureBehavior) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at.Child("failureBehavior"), c.FailureBehavior, choices)}
}

// validateDirectories checks everything that is mounted, and that no two of
// them are at one place.
func (c AgentConfig) validateDirectories(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var seen []string
	for _, one := range c.directories() {
		where := at
		for _, name := range one.keys {
			where = where.Child(name)
		}
		if one.index >= 0 {
			where = where.Index(one.index)
		}
		if one.volume != nil {
			errs = append(errs, validateVolume(where.Child("volume"), one.volume)...)
		}
		if one.mountPath == "" && one.volume == nil {
			continue
		}
		at := where.Child(one.pathKey)
		errs = append(errs, validateMountPath(at, one.mountPath)...)
		if slices.Contains(seen, one.mountPath) {
			errs = append(errs, field.Duplicate(at, one.mountPath))
		}
		if one.volume != nil {
			seen = append(seen, one.mountPath)
		}
		if strings.Contains(one.mountPath, ",") {
			errs = append(errs, field.Invalid(at, one.mountPath, "the agent takes no commas here"))
		}
	}
	return errs
}

// validateVolume wants a volume with one source; what it says is Kubernetes' to
// check.
func validateVolume(at *field.Path, volume *corev1.Volume) field.ErrorList {
	sources := len(treeOf(volume.VolumeSource))
	if sources == 1 {
		return nil
	}
	if sources == 0 {
		return field.ErrorList{field.Required(at, "give the volume a source, such as configMap")}
	}
	return field.ErrorList{invalid(at, "a volume has one source; remove the others")}
}

// ownPaths are where injected volumes are mounted, whatever the configuration.
var ownPaths = []string{
	contract.BinPath, contract.AgentBinaryDirectory, contract.RunPath, contract.TokenPath,
	contract.GitCredentialsPath, contract.CABundleDirectory, contract.PrivateSSHPath,
}

// validateMountPath wants a place for a volume of the platform's.
func validateMountPath(at *field.Path, where string) field.ErrorList {
	switch {
	case !path.IsAbs(where) || path.Clean(where) != where || strings.Contains(where, ":"):
		return field.ErrorList{field.Invalid(at, where, "want an absolute path, without a colon, \"..\" or a slash at its end")}
	case slices.Contains([]string{"/", reservedPath, contract.WorkspacePath, passwdPath}, where):
		return field.ErrorList{field.Invalid(at, where, "something else is mounted here; want a directory of its own")}
	}
	for _, own := range ownPaths {
		if where == own || strings.HasPrefix(where, own+"/") {
			return field.ErrorList{field.Invalid(at, where, own+" is for an injected volume; want a directory of its own")}
		}
	}
	return nil
}

// Package contract holds the names that pod creators, the mutator, the
// dispatcher and the entrypoint agree on: labels, annotations, the scheduling
// gate, containers, volumes and paths. Everything else may change; these may
// not, because pods in other people's repositories carry them.
//
// It imports nothing, so that everything may import it.
package contract

// Labels.
const (
	// NamespaceLabel opts a namespace in, with the value NamespaceEnabled: its
	// labelled pods are sent to the mutator.
	NamespaceLabel   = "buildkite.com/jobs"
	NamespaceEnabled = "enabled"

	// InjectLabel opts a pod in, with the value InjectEnabled.
	InjectLabel   = "buildkite.com/inject"
	InjectEnabled = "true"

	// JobUUIDLabel names the Buildkite job that the pod's agent acquires.
	// Without it the agent takes the next job of its queue and ends after it.
	JobUUIDLabel = "buildkite.com/job-uuid"

	// ControllerIDLabel names the dispatcher that made the pod. A dispatcher
	// counts, reports on and deletes only its own pods.
	ControllerIDLabel = "buildkite.com/controller-id"

	// MutatorLabel picks the installation that injects, in a cluster that has
	// several. A pod without it belongs to the default installation.
	MutatorLabel = "buildkite.com/mutator"

	// TagLabelPrefix precedes an agent tag's key: tag.buildkite.com/queue=linux.
	// Only tags that are valid label values become labels.
	TagLabelPrefix = "tag.buildkite.com/"
)

// Annotations that a pod's creator may set.
const (
	// AgentTagsAnnotation is the tags the agent registers with:
	// "queue=kubernetes,os=linux".
	AgentTagsAnnotation = "buildkite.com/agent-tags"

	// PluginAnnotation is the kubernetes plugin's fields other than podSpec and
	// metadata, as JSON or YAML.
	PluginAnnotation = "buildkite.com/plugin"

	// AgentImageAnnotation and AgentTokenSecretAnnotation override the mutator's
	// configured agent image and the name of the Secret with the agent token.
	AgentImageAnnotation       = "buildkite.com/agent-image"
	AgentTokenSecretAnnotation = "buildkite.com/agent-token-secret"

	// JobContainersAnnotation lists the containers to run as job containers, in
	// order: "build,test".
	JobContainersAnnotation = "buildkite.com/job-containers"

	// ExitStatusAnnotation is ExitStatusReflect (containers keep the job's
	// status; the default with a job UUID) or ExitStatusRunner (containers exit
	// 0 once Buildkite has accepted the job's result; the default without).
	ExitStatusAnnotation = "buildkite.com/exit-status"
	ExitStatusReflect    = "reflect"
	ExitStatusRunner     = "runner"

	// IdleTimeoutAnnotation ends a pod without a job UUID after so long without
	// a job: a Go duration, default 10m.
	IdleTimeoutAnnotation = "buildkite.com/idle-timeout"

	// ImageAnnotation is the image of all job containers: a step's `image:`.
	ImageAnnotation = "buildkite.com/image"

	// ResourceClassAnnotation names one of the mutator's resource classes: the
	// agent tag resource_class of a step.
	ResourceClassAnnotation = "buildkite.com/resource-class"

	// IgnoreJobPodSpecAnnotation ("true") lets a pod without a job UUID run a
	// job whose kubernetes plugin asks for a pod of its own.
	IgnoreJobPodSpecAnnotation = "buildkite.com/ignore-job-pod-spec"

	// SkipFetchAnnotation ("true") says that a clone which has the job's commit has
	// all that its checkout wants: it then fetches nothing on top, if the workspace
	// starts empty and no flags for git fetch are set.
	SkipFetchAnnotation = "buildkite.com/skip-fetch"
)

// Annotations for people and cost tools.
const (
	BuildURLAnnotation     = "buildkite.com/build-url"
	BuildUUIDAnnotation    = "buildkite.com/build-uuid"
	JobURLAnnotation       = "buildkite.com/job-url"
	BuildBranchAnnotation  = "buildkite.com/build-branch"
	BuildRepoAnnotation    = "buildkite.com/build-repo"
	PipelineSlugAnnotation = "buildkite.com/pipeline-slug"
	StepKeyAnnotation      = "buildkite.com/step-key"
	JobPriorityAnnotation  = "buildkite.com/job-priority"
	// PodTemplateNameAnnotation is the PodTemplate that the pod was built on.
	PodTemplateNameAnnotation = "buildkite.com/pod-template-name"
	// AttemptAnnotation is which of a job's pods this is, from 1: an earlier
	// one ended without running the job.
	AttemptAnnotation = "buildkite.com/attempt"
)

// InjectedAnnotation is the mutator's receipt: JSON of its version, its
// configuration's digest and the plan it carried out.
const InjectedAnnotation = "buildkite.com/injected"

// PasswdAnnotation holds the lines of /etc/passwd for containers that run as a
// user that their image does not know: OpenSSH refuses to work for such a one.
const PasswdAnnotation = "buildkite.com/passwd"

// Gate is the scheduling gate that a creator may put on a pod so that it can
// never run without the mutator, which removes it.
const Gate = "buildkite.com/inject"

// Container names. Those of job containers and services without a name follow
// the prefix and their index.
const (
	AgentContainer             = "agent"
	CheckoutContainer          = "checkout"
	InstallContainer           = "install-entrypoint"
	JobContainerNamePrefix     = "container-"
	ServiceContainerNamePrefix = "sidecar-"
)

// VolumePrefix precedes the names of the injected volumes, those of today and those to
// come, and of no author's.
const VolumePrefix = "buildkite-"

// Volume names.
const (
	WorkspaceVolume      = "workspace"
	BinVolume            = "buildkite-bin"
	AgentBinaryVolume    = "buildkite-agent"
	RunVolume            = "buildkite-run"
	AgentTokenVolume     = "buildkite-agent-token"
	PasswdVolume         = "buildkite-passwd"
	GitCredentialsVolume = "buildkite-git-credentials"
	GitMirrorsVolume     = "buildkite-git-mirrors"
	CABundleVolume       = "buildkite-ca-bundle"
	// SSHVolume holds the SSH directory of a checkout that keeps its keys.
	SSHVolume = "buildkite-ssh"
	// Volumes of the agent's settings. Of several hooks volumes the second and
	// later ones are AdditionalHooksVolumePrefix and their index.
	AgentHooksVolume            = "buildkite-hooks"
	AdditionalHooksVolumePrefix = "buildkite-hooks-"
	AgentPluginsVolume          = "buildkite-plugins"
	SigningKeyVolume            = "buildkite-signing-key"
	VerificationKeyVolume       = "buildkite-verification-key"
)

// Paths inside the pod. Those under RunPath stay short: a Unix socket's path
// ends at 107 bytes.
const (
	WorkspacePath = "/workspace"
	BuildPath     = WorkspacePath + "/build"
	CheckoutPath  = BuildPath + "/buildkite"
	HooksPath     = WorkspacePath + "/hooks"
	PluginsPath   = WorkspacePath + "/plugins"
	// SSHPath holds the keys and the configuration that SSH_… variables bring.
	SSHPath = WorkspacePath + "/.ssh"

	// BinPath holds the entrypoint, read-only in every container that is not
	// the one that puts it there.
	BinPath             = "/buildkite/bin"
	EntrypointPath      = BinPath + "/entrypoint"
	EntrypointImagePath = "/entrypoint"

	// AgentBinaryDirectory holds the agent's binary, read-only in every
	// container but the agent.
	AgentBinaryDirectory = "/buildkite/agent"
	AgentBinaryPath      = AgentBinaryDirectory + "/buildkite-agent"

	// GitCredentialsPath is where checkout, and no other, has the credentials
	// for git; CABundlePath is the bundle of certificate authorities.
	GitCredentialsPath = "/buildkite/git-credentials"
	GitCredentialsFile = GitCredentialsPath + "/.git-credentials"
	CABundleDirectory  = "/buildkite/ca"
	CABundlePath       = CABundleDirectory + "/ca.crt"

	// PrivateSSHPath is where checkout has its SSH directory when job containers
	// may not see the keys in it.
	PrivateSSHPath = "/buildkite/ssh"

	// Default paths of the volumes of the agent's settings, and of the mirrors
	// of git repositories.
	AgentHooksPath      = "/buildkite/hooks"
	AgentPluginsPath    = "/buildkite/plugins"
	SigningKeyPath      = "/buildkite/signing-key"
	VerificationKeyPath = "/buildkite/verification-key"
	GitMirrorsPath      = "/buildkite/git-mirrors"

	// RunPath is the agent's job context directory: its socket, the job's
	// environment files, and the entrypoint's locks and markers.
	RunPath     = "/buildkite/run"
	SocketsPath = RunPath + "/sockets"
	HomesPath   = RunPath + "/home"

	// TokenPath is where the agent container, and no other, has the token.
	TokenPath = "/buildkite/token"
	// TokenKey is the key of the token in its Secret.
	TokenKey = "BUILDKITE_AGENT_TOKEN"
)

// Subcommands of the entrypoint; their flags are in cmd/entrypoint's help.
const (
	// EntrypointInstall copies the entrypoint onto the bin volume.
	EntrypointInstall = "install"
	// EntrypointAgent supervises the pod from the agent container.
	EntrypointAgent = "agent"
	// EntrypointRun waits for a wrapped container's turn and runs its phases.
	EntrypointRun = "run"
	// EntrypointExec runs a command without a shell, or with one, after
	// changing to the container's working directory. It is given to the agent
	// as the job's shell.
	EntrypointExec = "exec"
)

// SSHDirectoryNone is what `entrypoint run --ssh-directory` takes instead of a
// directory where no keys are to be written.
const SSHDirectoryNone = "none"

// Interposers: how a container's command and args become the command that the
// agent runs.
const (
	// InterposerVector runs exactly the container's argv, without a shell.
	InterposerVector = "vector"
	// InterposerBuildkite runs a shell script: each entry of command is a line;
	// args, quoted, end the last line.
	InterposerBuildkite = "buildkite"
	// InterposerLegacy runs a shell script: command and args joined by spaces,
	// nothing quoted.
	InterposerLegacy = "legacy"
)

// DefaultShell is what scripts run with unless the container says otherwise.
const DefaultShell = "/bin/sh -ec"

// PodVariable holds the pod's name in the agent container. The agent makes the
// tag k8s:pod of it.
const PodVariable = "BUILDKITE_K8S_POD"

// JobPrefix precedes a job's UUID in the name of a dispatcher-made pod.
const JobPrefix = "buildkite-"

// KubernetesPlugin is how the plugin is named in a job's BUILDKITE_PLUGINS,
// perhaps followed by "#" and a version.
const KubernetesPlugin = "github.com/buildkite-plugins/kubernetes-buildkite-plugin"

package mutator

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Plan is all that the steps need to know about a pod. It is recorded in the
// pod's receipt, with every setting that came from the configuration, so that
// a replica with another configuration prescribes the same pod.
type Plan struct {
	// JobUUID is the job to acquire; empty takes the next one of the queue.
	JobUUID string `json:"jobUUID,omitempty"`
	// AgentTags are what the agent registers with: "queue=a,os=linux".
	AgentTags        string `json:"agentTags,omitempty"`
	ExitStatus       string `json:"exitStatus"`
	IdleSeconds      int64  `json:"idleSeconds,omitempty"`
	HoldSeconds      int64  `json:"holdSeconds,omitempty"`
	IgnoreJobPodSpec bool   `json:"ignoreJobPodSpec,omitempty"`
	// GraceSeconds is the pod's termination grace period.
	GraceSeconds int64 `json:"graceSeconds"`

	AgentImage                string            `json:"agentImage"`
	AgentImagePullPolicy      corev1.PullPolicy `json:"agentImagePullPolicy,omitempty"`
	AgentBinary               string            `json:"agentBinary"`
	AgentTokenSecret          string            `json:"agentTokenSecret"`
	AgentEndpoint             string            `json:"agentEndpoint,omitempty"`
	Delivery                  string            `json:"delivery"`
	EntrypointImage           string            `json:"entrypointImage"`
	EntrypointImagePullPolicy corev1.PullPolicy `json:"entrypointImagePullPolicy,omitempty"`
	// GitEnv is how to clone, for the agent to hand on to checkout.
	GitEnv []corev1.EnvVar `json:"gitEnv,omitempty"`
	// AgentEnv and AgentMounts are what the configuration adds to the agent's
	// container, and RedactedVars to the patterns of secret variables.
	AgentEnv     []corev1.EnvVar      `json:"agentEnv,omitempty"`
	AgentMounts  []corev1.VolumeMount `json:"agentMounts,omitempty"`
	RedactedVars []string             `json:"redactedVars,omitempty"`
	// CancelGraceSeconds and SignalGraceSeconds override what follows from
	// GraceSeconds.
	CancelGraceSeconds *int64 `json:"cancelGraceSeconds,omitempty"`
	SignalGraceSeconds *int64 `json:"signalGraceSeconds,omitempty"`
	// Volumes are the injected ones of the agent's settings and of checkout.
	Volumes []corev1.Volume `json:"volumes,omitempty"`

	// Resources are the injected containers'; nil in a pod that has resources
	// of its own.
	Resources *InjectedResources `json:"resources,omitempty"`
	// Injected is what the platform's patch adds to injected containers, by name.
	Injected map[string]InjectedPatch `json:"injected,omitempty"`
	// User is what the injected containers run as.
	User UserPlan `json:"user,omitzero"`
	// WorkspaceVolume is nil in a pod that brings a workspace volume.
	WorkspaceVolume *corev1.VolumeSource `json:"workspaceVolume,omitempty"`

	// Checkout is nil where it is skipped.
	Checkout   *ContainerPlan  `json:"checkout,omitempty"`
	Containers []ContainerPlan `json:"containers"`
	Services   []ServicePlan   `json:"services,omitempty"`
	// Images are those of the wrapped containers, in the order of their IDs, for
	// the job's log; none where one of them could not be told from two.
	Images []string `json:"images,omitempty"`

	// version is this program's, as the receipt has it.
	version string
	// services are the containers of Services, which are not recorded: they
	// are the user's and other webhooks may change them.
	services []corev1.Container
}

// ContainerPlan is a container that the entrypoint wraps.
type ContainerPlan struct {
	Name string `json:"name"`
	// ID is the container's place in the order in which they run, from 0.
	ID int `json:"id"`
	// Assured says that the container is certain to start once the agent's has.
	Assured bool `json:"assured,omitempty"`
	// Image is the container's if it had none.
	Image string `json:"image,omitempty"`
	// WorkingDirectory is where the command runs; empty is the checkout.
	WorkingDirectory string `json:"workingDirectory,omitempty"`
	// Interposer is how the container's own command runs. Empty runs the job's.
	Interposer Interposer `json:"interposer,omitempty"`
	// Commands is how many of the words come from command; the rest are args.
	Commands int `json:"commands,omitempty"`
	// CommandDigest is that of the words, which may be too long for two places
	// in the pod.
	CommandDigest string                 `json:"commandDigest,omitempty"`
	EnvFrom       []corev1.EnvFromSource `json:"envFrom,omitempty"`
	Mounts        []corev1.VolumeMount   `json:"mounts,omitempty"`
	// Env are variables beside those that every wrapped container has.
	Env []corev1.EnvVar `json:"env,omitempty"`
	// OwnVariables are names of variables that the container's command has as
	// the container sets them, or not at all: those of the agent would win.
	OwnVariables []string `json:"ownVariables,omitempty"`
	// SSHDirectory is where the container has its SSH keys: empty for
	// contract.SSHPath, or contract.SSHDirectoryNone.
	SSHDirectory string `json:"sshDirectory,omitempty"`

	// words are the container's own command and args.
	words []string
}

// ServicePlan is a container that runs beside the job.
type ServicePlan struct {
	Name string `json:"name"`
}

// UserPlan is what the injected containers run as; nil leaves it to the pod.
type UserPlan struct {
	RunAsUser    *int64 `json:"runAsUser,omitempty"`
	RunAsGroup   *int64 `json:"runAsGroup,omitempty"`
	RunAsNonRoot *bool  `json:"runAsNonRoot,omitempty"`
	// CheckoutCapabilities are what a checkout that may be root's keeps, to
	// clean up after job containers of other users.
	CheckoutCapabilities []corev1.Capability `json:"checkoutCapabilities,omitempty"`
	// Passwd is the text of checkout's /etc/passwd; empty keeps its image's.
	Passwd string `json:"passwd,omitempty"`
}

// wrappedNames lists the containers that the entrypoint wraps in the order of
// their IDs. The agent must know their exact number: with a smaller one a job
// passes that never ran.
func (p *Plan) wrappedNames() []string {
	if p.Checkout == nil {
		return p.jobContainerNames()
	}
	return append([]string{p.Checkout.Name}, p.jobContainerNames()...)
}

// jobContainerNames lists the job containers in order.
func (p *Plan) jobContainerNames() []string {
	names := make([]string, len(p.Containers))
	for i, container := range p.Containers {
		names[i] = container.Name
	}
	return names
}

// reading is one pass over a pod's user input. All of it is read here.
type reading struct {
	config Config
	pod    *corev1.Pod
	plugin plugin
	plan   Plan
	// jobContainers are the places of the job containers in the pod, in the
	// order in which they run.
	jobContainers []int
	// bare is the pod with no more than the names of what it came with.
	bare     *corev1.Pod
	warnings []string
	errs     field.ErrorList
}

// read turns everything the user wrote into a plan.
func (c Config) read(pod *corev1.Pod) *reading {
	r := &reading{config: c, pod: pod}
	r.readPlugin()
	r.merge()
	r.secure()
	r.readSettings()
	r.readJobContainers()
	r.readCheckout()
	r.readPlatform()
	r.readServices()
	r.readImages()
	r.readUser()
	r.checkNames()
	r.checkMounts()
	r.checkEnv()
	r.checkJobContainers()
	r.checkRestartPolicy()
	r.checkPolicy()
	r.errs = append(r.errs, c.secretReferences(pod, r.plugin, &r.plan)...)
	return r
}

func (r *reading) readPlugin() {
	parsed, warnings, errs := parsePlugin(r.pod.Annotations[contract.PluginAnnotation], r.config.pluginDefaults(), r.config.UnknownPluginFields)
	r.plugin = parsed
	r.warnings = append(r.warnings, warnings...)
	r.errs = append(r.errs, errs...)
}

func (r *reading) refuse(err *field.Error) {
	r.errs = append(r.errs, err)
}

func (r *reading) warn(path *field.Path, sentence string) {
	r.warnings = append(r.warnings, path.String()+": "+sentence)
}

package finding

// Rule names a kind of finding. Programs that read the findings, and the page
// docs/lint.md, know them by these names.
type Rule string

// Rules.
const (
	// Syntax is about the file: YAML, its limits, and whether it is a pipeline.
	Syntax Rule = "syntax"
	// StepType is about what kind of step something is.
	StepType Rule = "step-type"
	// UnknownKey is a key that a step does not have.
	UnknownKey Rule = "unknown-key"
	// StepValue is a value that a step's key cannot have.
	StepValue Rule = "step-value"
	// StepKey is about the names that steps give themselves.
	StepKey Rule = "step-key"
	// Dependency is about depends_on.
	Dependency Rule = "dependency"
	// Matrix is about build matrices.
	Matrix Rule = "matrix"

	// UnknownField is a field that the plugin, or a pod, does not have.
	UnknownField Rule = "unknown-field"
	// WrongType is a value that its field cannot be decoded from.
	WrongType Rule = "wrong-type"
	// Required is a field that is missing.
	Required Rule = "required"
	// InvalidValue is a value that Kubernetes refuses.
	InvalidValue Rule = "invalid-value"
	// Duplicate is a name, or a mount path, that is there twice.
	Duplicate Rule = "duplicate"
	// Mount is a mount of a volume that is not there.
	Mount Rule = "mount"

	// Refused is what the dispatcher or the mutator refuses.
	Refused Rule = "refused"
	// Remark is what the mutator only warns of.
	Remark Rule = "remark"
	// Command is a command that does not do what it looks like.
	Command Rule = "command"
	// Sidecar is a service that the job does not wait for.
	Sidecar Rule = "sidecar"
)

// Explanation is a rule for people.
type Explanation struct {
	Rule Rule
	// Finds is what it finds, and Do what to do about it.
	Finds, Do string
}

// Explanations are all rules, in the order of the documentation.
var Explanations = []Explanation{
	{Syntax, "a file that is not YAML, a key that is there twice, a Kubernetes object, no steps", "Correct the file at the line that is named. A Kubernetes object is for `agent-stack-k8s render`."},
	{StepType, "a step that is of no type, of two, or in a place where its type cannot be", "Give each step one of `command`, `plugins`, `wait`, `block`, `input`, `trigger` and `group`."},
	{UnknownKey, "a key that a step of this type does not have", "Take the key that is proposed, or remove it: Buildkite refuses the upload."},
	{StepValue, "a value that a step's key cannot have, such as a word for `timeout_in_minutes`", "Write what the finding asks for."},
	{StepKey, "a `key` that two steps have, or that looks like a UUID", "Rename one of them."},
	{Dependency, "a `depends_on` that names no step of the file, or goes in a circle", "Correct the name. If another upload of the same build brings the step, the warning may stay."},
	{Matrix, "a matrix without elements, an adjustment of a dimension that there is not, `{{matrix}}` without a matrix", "Correct the dimension's name, or give the step a `matrix`."},
	{UnknownField, "a field that the plugin or a pod does not have", "Take the field that is proposed, or remove it."},
	{WrongType, "a number, string, list or object where another one is wanted", "Mind the quotes: `\"5432\"` is a string and `5432` a number, also after `$VARIABLES` are filled in."},
	{Required, "a field that is missing, such as an `env` entry's `name`", "Add it."},
	{InvalidValue, "a value that the API server refuses: a name in capitals, a port of 70000, requests above limits, two sources of one volume", "Write what the finding asks for."},
	{Duplicate, "two containers, volumes or ports of one name, two mounts on one path", "Keep one, or rename one."},
	{Mount, "a mount of a volume that the pod does not have", "Add the volume to `podSpec.volumes`, or correct the name. A PodTemplate's volumes are seen with `--pod-template`."},
	{Refused, "what the dispatcher or the mutator refuses: reserved names, probes of job containers, what the policy in `--config` does not allow", "The finding says what to do instead; see [security](security.md) for policies."},
	{Remark, "what the mutator warns of and accepts", "Nothing, if it is meant."},
	{Command, "a `command` that a shell or the interposer understands otherwise than it looks", "See [command and args](#command-and-args)."},
	{Sidecar, "a sidecar without a startup probe, which the job does not wait for", "Give it a `startupProbe`, or let the command wait for it."},
}

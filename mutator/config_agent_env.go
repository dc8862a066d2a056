package mutator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// agentSetting is a key of AgentConfig that becomes a variable of the agent.
type agentSetting struct {
	key, variable string
	// value is the variable's; empty leaves it to the agent.
	value func(AgentConfig) string
}

// agentSettings are the keys that are variables and nothing more.
// Source of the names: the agent's clicommand/agent_start.go and global.go; a
// test in e2e/agentsettings holds them against these.
var agentSettings = []agentSetting{
	{"noHTTP2", "BUILDKITE_NO_HTTP2", func(c AgentConfig) string { return ifTrue(c.NoHTTP2) }},
	{"experiments", "BUILDKITE_AGENT_EXPERIMENT", func(c AgentConfig) string { return strings.Join(c.Experiments, ",") }},
	{"shell", shellVariable, func(c AgentConfig) string { return c.Shell }},
	{"strictSingleHooks", "BUILDKITE_STRICT_SINGLE_HOOKS", func(c AgentConfig) string { return ifTrue(c.StrictSingleHooks) }},
	{"noMultipartArtifactUpload", "BUILDKITE_NO_MULTIPART_ARTIFACT_UPLOAD", func(c AgentConfig) string { return ifTrue(c.NoMultipartArtifactUpload) }},
	{"traceContextEncoding", "BUILDKITE_TRACE_CONTEXT_ENCODING", func(c AgentConfig) string { return c.TraceContextEncoding }},
	{"tracingBackend", "BUILDKITE_TRACING_BACKEND", func(c AgentConfig) string { return c.TracingBackend }},
	{"tracingServiceName", "BUILDKITE_TRACING_SERVICE_NAME", func(c AgentConfig) string { return c.TracingServiceName }},
	{"tracingPropagateTraceparent", "BUILDKITE_TRACING_PROPAGATE_TRACEPARENT", func(c AgentConfig) string { return ifTrue(c.TracingPropagateTraceparent) }},
	{"disableWarningsFor", "BUILDKITE_AGENT_DISABLE_WARNINGS_FOR", func(c AgentConfig) string { return strings.Join(c.DisableWarningsFor, ",") }},
	{"debug", "BUILDKITE_AGENT_DEBUG", func(c AgentConfig) string { return ifTrue(c.Debug) }},
	{"debugSigning", "BUILDKITE_AGENT_DEBUG_SIGNING", func(c AgentConfig) string { return ifTrue(c.DebugSigning) }},
	{"timestampLines", "BUILDKITE_TIMESTAMP_LINES", func(c AgentConfig) string { return ifTrue(c.TimestampLines) }},
	{"noPTY", "BUILDKITE_NO_PTY", func(c AgentConfig) string { return ifTrue(c.NoPTY) }},
	{"gitSkipFetchExistingCommits", skipFetchVariable, func(c AgentConfig) string { return ifTrue(c.GitSkipFetchExistingCommits) }},
	{"noCommandEval", "BUILDKITE_NO_COMMAND_EVAL", func(c AgentConfig) string { return ifTrue(c.NoCommandEval) }},
	{"noLocalHooks", "BUILDKITE_NO_LOCAL_HOOKS", func(c AgentConfig) string { return ifTrue(c.NoLocalHooks) }},
	{"noPlugins", "BUILDKITE_NO_PLUGINS", func(c AgentConfig) string { return ifTrue(c.NoPlugins) }},
	{"pluginValidation", "BUILDKITE_NO_PLUGIN_VALIDATION", func(c AgentConfig) string {
		if c.PluginValidation {
			return "false"
		}
		return ""
	}},
	{"signing.jwksFile", "BUILDKITE_AGENT_SIGNING_JWKS_FILE", func(c AgentConfig) string { return c.signingKey().file() }},
	{"signing.jwksKeyID", "BUILDKITE_AGENT_SIGNING_JWKS_KEY_ID", func(c AgentConfig) string { return c.Signing.JWKSKeyID }},
	{"verification.jwksFile", "BUILDKITE_AGENT_VERIFICATION_JWKS_FILE", func(c AgentConfig) string { return c.verificationKey().file() }},
	{"verification.failureBehavior", "BUILDKITE_AGENT_JOB_VERIFICATION_NO_SIGNATURE_BEHAVIOR", func(c AgentConfig) string { return c.Verification.FailureBehavior }},
	{"hooks.path", "BUILDKITE_HOOKS_PATH", func(c AgentConfig) string { return c.hooks().mountPath }},
	{"additionalHooks", "BUILDKITE_ADDITIONAL_HOOKS_PATHS", func(c AgentConfig) string { return strings.Join(c.additionalHooksPaths(), ",") }},
	{"plugins.path", "BUILDKITE_PLUGINS_PATH", func(c AgentConfig) string { return c.plugins().mountPath }},
	// Grace periods and redacted variables need more than the configuration;
	// see step_agent.go.
	{"redactedVars", redactedVariable, nil},
	{"cancelGracePeriod", cancelGraceVariable, nil},
	{"signalGracePeriod", signalGraceVariable, nil},
}

// ownedAgentEnv are variables that the mutator or the entrypoint set, and that
// have to be as they are.
var ownedAgentEnv = []string{
	"BUILDKITE_AGENT_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "BUILDKITE_AGENT_NAME", "BUILDKITE_AGENT_TAGS", "BUILDKITE_AGENT_QUEUE",
	"BUILDKITE_AGENT_META_DATA", "BUILDKITE_AGENT_NO_COLOR", "BUILDKITE_AGENT_PING_MODE", "BUILDKITE_BUILD_PATH", "BUILDKITE_BIN_PATH",
	"BUILDKITE_AGENT_ACQUIRE_JOB", "BUILDKITE_AGENT_REFLECT_EXIT_STATUS", "BUILDKITE_AGENT_DISCONNECT_AFTER_JOB",
	"BUILDKITE_AGENT_DISCONNECT_AFTER_IDLE_TIMEOUT", "BUILDKITE_KUBERNETES_EXEC", "BUILDKITE_KUBERNETES_CONTAINER_START_TIMEOUT",
	"BUILDKITE_CONTAINER_COUNT", containerIDVariable, contextVariable, socketsVariable, phasesVariable, commandVariable, "HOME",
}

// unsafeAgentEnv are variables with which a pod would not run its one job, or
// would show its token; and what they would do.
var unsafeAgentEnv = map[string]string{
	"BUILDKITE_AGENT_CONFIG":                           "a configuration file could change what has to be as it is",
	"BUILDKITE_AGENT_SPAWN":                            "a pod has one agent",
	"BUILDKITE_AGENT_SPAWN_PER_CPU":                    "a pod has one agent",
	"BUILDKITE_AGENT_SPAWN_WITH_PRIORITY":              "a pod has one agent",
	"BUILDKITE_AGENT_DISCONNECT_AFTER_UPTIME":          "the agent would leave its job",
	"BUILDKITE_AGENT_DISCONNECT_AFTER_JOB_TIMEOUT":     "the agent would leave its job",
	"BUILDKITE_BOOTSTRAP_SCRIPT_PATH":                  "the containers run the agent's own bootstrap",
	"BUILDKITE_AGENT_DEBUG_HTTP":                       "the agent would write its token into the container's log",
	"BUILDKITE_AGENT_LOG_LEVEL":                        "the entrypoint reads the agent's log; set agent.debug to see more",
	"BUILDKITE_LOG_FORMAT":                             "the entrypoint reads the agent's log",
	"BUILDKITE_CANCEL_SIGNAL":                          "the entrypoint passes SIGTERM on",
	"BUILDKITE_SKIP_CHECKOUT":                          "set skip in defaultCheckoutParams",
	"BUILDKITE_KUBERNETES_LOG_COLLECTION_GRACE_PERIOD": "the agent does not use it any more",
}

// redactedDefaults are the agent's own patterns, which a list of ours replaces.
// Source: clicommand/global.go, RedactedVars; held against it as agentSettings.
var redactedDefaults = []string{
	"*_PASSWORD", "*_SECRET", "*_TOKEN", "*_PRIVATE_KEY", "*_SSH_KEY", "*_ACCESS_KEY", "*_SECRET_KEY", "*_CONNECTION_STRING", "*_API_KEY",
}

// redactedSSHKeys are the keys of gitEnvFrom, which the agent would not hide:
// SSH_PRIVATE_RSA_KEY ends in none of its patterns.
var redactedSSHKeys = []string{"SSH_PRIVATE_*_KEY", "SSH_PRIVATE_*_KEY_B64"}

func ifTrue(value bool) string {
	if value {
		return strconv.FormatBool(value)
	}
	return ""
}

// variables are those of the agent's container that the configuration sets.
func (c AgentConfig) variables() []corev1.EnvVar {
	var variables []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		variables = append(variables, env(name, literal(c.Env[name])))
	}
	for _, setting := range agentSettings {
		if setting.value == nil {
			continue
		}
		if value := setting.value(c); value != "" {
			variables = append(variables, env(setting.variable, literal(value)))
		}
	}
	return variables
}

// validateAgentEnv refuses what there is a key for, and what must not be
// changed.
func validateAgentEnv(at *field.Path, variables map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		key := at.Key(name)
		for _, problem := range validation.IsEnvVarName(name) {
			errs = append(errs, field.Invalid(key, name, problem))
		}
		if setting := slices.IndexFunc(agentSettings, func(s agentSetting) bool { return s.variable == name }); setting >= 0 {
			errs = append(errs, field.Forbidden(key, fmt.Sprintf("set %s instead", field.NewPath("agent").Child(agentSettings[setting].key))))
		}
		if name == endpointVariable {
			errs = append(errs, field.Forbidden(key, "set agentEndpoint instead"))
		}
		if strings.HasPrefix(name, gitMirrorPrefix) || name == mirrorFlagsVariable {
			errs = append(errs, field.Forbidden(key, "set gitMirrors in defaultCheckoutParams instead"))
		}
		if reason, unsafe := unsafeAgentEnv[name]; unsafe {
			errs = append(errs, field.Forbidden(key, reason+"; remove the variable"))
		}
		if slices.Contains(ownedAgentEnv, name) || strings.HasPrefix(name, "BUILDKITE_K8S_") {
			errs = append(errs, field.Forbidden(key, "the mutator sets this one; remove the variable"))
		}
	}
	return errs
}

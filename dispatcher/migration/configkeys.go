package migration

// configKeys are those of the controller's own options.
// Source: the controller's flags and its configuration type at v0.4.0 and
// v0.47.0; names that came and went between them from its change log.
var configKeys = []Row{
	{Name: "config", In: Oldest | Newest, Fate: Honoured, Example: "dispatcher.yaml"},
	{Name: "buildkite-token", In: Oldest | Newest, Fate: Honoured, Example: "token", Note: "from v0.28 on the controller needed none; the dispatcher needs one with GraphQL access"},
	{Name: "org", In: Oldest, Fate: Honoured, Example: "acme", Note: "required here, as it was until v0.32"},
	{Name: "cluster-uuid", Fate: Honoured, Example: "dc840dd5-6a72-545b-917d-ae66e9bb7a50", Note: "needed here for a queue of a cluster, as it was until v0.32"},
	{Name: "graphql-endpoint", In: Newest, Fate: Honoured, Example: "https://graphql.example.com/v1"},
	{Name: "image", In: Oldest | Newest, Fate: Honoured, Example: "ghcr.io/buildkite/agent:3.138.1", Note: "any stock image of the agent, from v3.136 on"},
	{Name: "tags", In: Oldest | Newest, Fate: Honoured, Example: "[queue=linux, docker=true]", Note: "v0.4.0 took jobs that asked for any of the tags; a job must find all that it asks for"},
	{Name: "queue", In: Newest, Fate: Honoured, Example: "linux"},
	{Name: "namespace", In: Oldest | Newest, Fate: Honoured, Example: "builds"},
	{Name: "agent-token-secret", In: Oldest | Newest, Fate: Honoured, Example: "agent-token", Note: "a Secret in the namespace of the jobs"},
	{Name: "debug", In: Oldest | Newest, Fate: Honoured, Example: "true", Switch: true},
	{Name: "max-in-flight", In: Oldest | Newest, Fate: Honoured, Example: "7"},
	{Name: "job-ttl", In: Oldest | Newest, Fate: Honoured, Example: "5m", Note: "how long the finished pod is kept"},
	{Name: "profiler-address", In: Oldest | Newest, Fate: Honoured, Example: "localhost:6060"},
	{Name: "id", In: Newest, Fate: Refused, As: "controller-id", Example: "blue", Note: "give it a value that no controller of the existing stack has while both run, because each would take the other's pods for its own"},
	{Name: "job-creation-concurrency", In: Newest, Fate: Honoured, Example: "5"},
	{Name: "poll-interval", In: Newest, Fate: Honoured, Example: "5s"},
	{Name: "http-timeout", In: Newest, Fate: Honoured, As: "buildkite-request-timeout", Example: "30s"},
	{Name: "image-pull-backoff-grace-period", In: Newest, Fate: Honoured, Example: "45s"},
	{Name: "job-cancel-checker-poll-interval", In: Newest, Fate: Honoured, Example: "15s"},
	{Name: "empty-job-grace-period", In: Newest, Fate: Honoured, As: "missing-object-timeout", Example: "45s", Note: "how long a job waits for a ServiceAccount that is missing"},
	{Name: "pod-pending-timeout", In: Newest, Fate: Honoured, Example: "20m"},
	{Name: "prohibit-kubernetes-plugin", In: Newest, Fate: Honoured, Example: "true", Switch: true},
	{Name: "log-format", In: Newest, Fate: Honoured, Example: "logfmt", Note: "logfmt is taken as text, which is the same"},
	{Name: "no-color", In: Newest, Fate: Honoured, Example: "true", Switch: true, Note: "the log never has colours"},
	{Name: "enable-queue-pause", In: Newest, Fate: Honoured, Example: "true", Switch: true, Note: "a queue that is paused in Buildkite is always left alone"},

	{Name: "job-active-deadline-seconds", In: Newest, Fate: Refused, Chart: "jobActiveDeadlineSeconds", Example: "3600"},
	{Name: "additional-redacted-vars", In: Newest, Fate: Refused, Chart: "agent.redactedVars", Example: "[RECIPE]"},
	{Name: "default-resource-class-name", In: Newest, Fate: Refused, Chart: "defaultResourceClassName", Example: "small"},
	{Name: "pod-spec-patch", In: Newest, Fate: Refused, Chart: "podSpecPatch", Example: "{nodeSelector: {pool: builds}}", FileOnly: true},
	{Name: "default-checkout-params", In: Newest, Fate: Refused, Chart: "defaultCheckoutParams", Example: "{cloneFlags: -v --depth 1}", FileOnly: true},
	{Name: "default-command-params", In: Newest, Fate: Refused, Chart: "defaultCommandParams", Example: "{interposer: vector}", FileOnly: true},
	{Name: "default-sidecar-params", In: Newest, Fate: Refused, Chart: "defaultSidecarParams", Example: "{envFrom: [{configMapRef: {name: sidecars}}]}", FileOnly: true},
	{Name: "default-metadata", In: Newest, Fate: Refused, Chart: "defaultMetadata", Example: "{labels: {team: builds}}", FileOnly: true},
	{
		Name: "agent-config", In: Newest, Fate: Refused, As: "agent in the mutator's configuration", Example: "{no-pty: true}", FileOnly: true,
		Note: "the chart takes its keys one by one",
	},

	{
		Name: "resource-classes", In: Newest, Fate: Refused, As: "resourceClasses", Example: "{small: {resource: {requests: {cpu: 100m}}}}", FileOnly: true,
		Note: "it is the mutator's, and what was resource in a class is resources there, as in a container",
	},
	{
		Name: "workspace-volume", In: Newest, Fate: Refused, As: "workspaceVolume", Example: "{name: ws, emptyDir: {}}", FileOnly: true,
		Note: "it is the mutator's, and takes the volume without its name",
	},
	{
		Name: "workspace-mount-sub-path-expr", In: Newest, Fate: Refused, As: "workspaceVolume with ephemeral.volumeClaimTemplate", Example: "$(POD_NAME)", FileOnly: true,
		Note: "it is the mutator's, and gives each pod a volume of its own",
	},
	{
		Name: "default-image-pull-policy", In: Newest, Fate: Refused, As: "agentImagePullPolicy", Example: "Always",
		Note: "it is the mutator's, and is for the agent's image alone; job containers have Kubernetes' default or their own",
	},
	{
		Name: "default-termination-grace-period-seconds", In: Newest, Fate: Refused, As: "podSpecPatch with terminationGracePeriodSeconds", Example: "120",
		Note: "it is the mutator's; without it a pod has 60 seconds",
	},

	{Name: "job-prefix", In: Newest, Fate: Warned, Example: "ci-", Note: "a pod's name is always buildkite- and the job's UUID; select pods by the label buildkite.com/controller-id"},
	{Name: "pagination-page-size", In: Newest, Fate: Warned, Example: "500", Note: "pages are as large as the GraphQL budget allows"},
	{Name: "pagination-depth-limit", In: Newest, Fate: Warned, Example: "3", Note: "the dispatcher pages until it has as many jobs as it has room for"},
	{Name: "query-reset-interval", In: Newest, Fate: Warned, Example: "20s", Note: "the dispatcher lists from the oldest job again whenever it has to; the controller did not use the option since v0.28 either"},
	{Name: "work-queue-limit", In: Newest, Fate: Warned, Example: "1000", Note: "jobs wait in Buildkite until there is room for their pod, and in no queue of this program"},
	{Name: "reservation-expiry-seconds", In: Newest, Fate: Warned, Example: "600", Note: "jobs are not reserved: a job is taken by its pod's agent, when all its containers run"},
	{Name: "enable-completion-watcher", In: Newest, Fate: Warned, Example: "true", Switch: true, Note: "services end by themselves after the job, and added containers with the pod's deadline"},
	{Name: "k8s-client-rate-limiter-qps", In: Newest, Fate: Warned, Example: "30", Note: "the API server shares its time out; the dispatcher has no limit of its own but job-creation-concurrency"},
	{Name: "k8s-client-rate-limiter-burst", In: Newest, Fate: Warned, Example: "60", Note: "the API server shares its time out; the dispatcher has no limit of its own but job-creation-concurrency"},
	{Name: "prometheus-port", In: Newest, Fate: Warned, Example: "9216", Note: "/metrics is served at http-address, port 8080 unless set, and its metrics have other names"},
	{Name: "default-image-check-pull-policy", In: Newest, Fate: Warned, Example: "IfNotPresent", Note: "there are no image checks: the job is not taken before all its images are there"},
	{Name: "skip-image-check-containers", In: Newest, Fate: Warned, Example: "true", Switch: true, Note: "there are no image checks: the job is not taken before all its images are there"},
	{Name: "image-check-container-cpu-limit", In: Newest, Fate: Warned, Example: "100m", Note: "there are no image checks: the job is not taken before all its images are there"},
	{Name: "image-check-container-memory-limit", In: Newest, Fate: Warned, Example: "64Mi", Note: "there are no image checks: the job is not taken before all its images are there"},
	{Name: "allow-pod-spec-patch-unsafe-command-modification", In: Newest, Fate: Warned, Example: "true", Switch: true, Note: "a patch that changes the command of a container of the stack's is always refused, and says so"},
	{Name: "log-level", In: Newest, Fate: Warned, Example: "warn", Note: "the level is info; debug is more"},
	{Name: "log-http-payloads", In: Newest, Fate: Warned, Example: "true", Switch: true, Note: "requests are not logged, because they have tokens and secrets in them"},
	{Name: "graphql-results-limit", Fate: Warned, Example: "200", Note: "pages are as large as the GraphQL budget allows"},
	{Name: "stale-job-data-timeout", Fate: Warned, Example: "20s", Note: "jobs wait in Buildkite until there is room for their pod, and in no queue of this program"},
}

// agentConfigKeys are those of the key agent-config. The chart takes most of
// them; given to the dispatcher, the whole key is refused.
var agentConfigKeys = []Row{
	agentConfig("endpoint", "agent-endpoint", "https://agent.example.com/v3"),
	agentConfig("no-http2", "agent.noHTTP2", "true"),
	agentConfig("experiment", "agent.experiments", "[agent-api]"),
	agentConfig("shell", "agent.shell", "/bin/bash -ec"),
	agentConfig("strict-single-hooks", "agent.strictSingleHooks", "true"),
	agentConfig("no-multipart-artifact-upload", "agent.noMultipartArtifactUpload", "true"),
	agentConfig("trace-context-encoding", "agent.traceContextEncoding", "json"),
	agentConfig("tracing-backend", "agent.tracingBackend", "opentelemetry"),
	agentConfig("tracing-service-name", "agent.tracingServiceName", "builds"),
	agentConfig("tracing-propagate-traceparent", "agent.tracingPropagateTraceparent", "true"),
	agentConfig("disable-warnings-for", "agent.disableWarningsFor", "[submodules-disabled]"),
	agentConfig("debug-signing", "agent.debugSigning", "true"),
	agentConfig("git-skip-fetch-existing-commits", "agent.gitSkipFetchExistingCommits", "true"),
	agentConfig("no-pty", "agent.noPTY", "true"),
	agentConfig("no-command-eval", "agent.noCommandEval", "true"),
	agentConfig("no-local-hooks", "agent.noLocalHooks", "true"),
	agentConfig("no-plugins", "agent.noPlugins", "true"),
	agentConfig("plugin-validation", "agent.pluginValidation", "true"),
	agentConfig("signing-jwks-file", "agent.signing.jwksFile", "/keys/signing.json"),
	agentConfig("signing-jwks-key-id", "agent.signing.jwksKeyID", "first"),
	agentConfig("signingJWKSVolume", "agent.signing.volume", "{name: signing, secret: {secretName: signing-key}}"),
	agentConfig("verification-jwks-file", "agent.verification.jwksFile", "/keys/verification.json"),
	{
		Name: "agent-config.verification-failure-behavior", In: Newest, Fate: Refused, Chart: "agent.verification.failureBehavior", Example: "warn", FileOnly: true,
		Note: "the controller set warn where neither it nor a key was given; here the agent's own default, block, counts",
	},
	agentConfig("verificationJWKSVolume", "agent.verification.volume", "{name: verification, secret: {secretName: verification-key}}"),
	agentConfig("hooks-path", "agent.hooks.path", "/hooks"),
	agentConfig("hooksVolume", "agent.hooks.volume", "{name: hooks, configMap: {name: hooks}}"),
	agentConfig("additional-hooks", "agent.additionalHooks", "[{path: /more-hooks, volume: {name: more-hooks, configMap: {name: more-hooks}}}]"),
	agentConfig("plugins-path", "agent.plugins.path", "/plugins"),
	agentConfig("pluginsVolume", "agent.plugins.volume", "{name: plugins, emptyDir: {}}"),
	{
		Name: "agent-config.additional-hooks-paths", In: Newest, Fate: Refused, As: "agent.additionalHooks", Example: "[/image/hooks]", FileOnly: true,
		Note: "it is the mutator's, and is a list of objects, each with a path",
	},
	{
		Name: "agent-config.container-start-timeout", In: Newest, Fate: Warned, Example: "10m", FileOnly: true,
		Note: "the agent does not count the time that earlier containers take, so that there is no limit to raise",
	},
	{
		Name: "agent-config.no-color", In: Newest, Fate: Warned, Example: "true", FileOnly: true,
		Note: "the agent's log never has colours, because a program reads it; those of a job's log are the job's",
	},
}

func agentConfig(name, chart, example string) Row {
	return Row{Name: "agent-config." + name, In: Newest, Fate: Refused, Chart: chart, Example: example, FileOnly: true}
}

package migration

// chartValues are those of the chart beside config, whose keys are the
// configuration keys.
// Source: the chart's values and its schema at v0.4.0 and v0.47.0.
var chartValues = []Row{
	{Name: "agentToken", In: Oldest | Newest, Fate: Honoured, Example: "other-token"},
	{Name: "graphqlToken", In: Oldest, Fate: Honoured, Example: "other-token", Note: "needed here, as it was until v0.28"},
	{
		Name: "agentStackSecret", In: Newest, Fate: Honoured, Example: "buildkite-tokens",
		Note: "its keys are as they were; the namespace of the jobs needs a Secret of its own with BUILDKITE_AGENT_TOKEN, named by config.agent-token-secret",
	},
	{
		Name: "image", In: Oldest | Newest, Fate: Refused, As: "dispatcher.image", Example: "ghcr.io/buildkite/agent-stack-k8s/controller:0.47.0",
		Note: "it was the controller's image; there are three now, dispatcher.image, mutator.image and entrypoint.image, and image.tag or image.registry are for all",
	},
	{Name: "nodeSelector", In: Newest, Fate: Honoured, Example: "{pool: system}", Note: "for the dispatcher and the mutator"},
	{Name: "tolerations", In: Newest, Fate: Honoured, Example: "[{key: system, operator: Exists}]", Note: "for the dispatcher and the mutator"},
	{Name: "resources", In: Newest, Fate: Honoured, Example: "{requests: {cpu: 70m}}", Note: "the dispatcher's; the mutator's are mutator.resources"},
	{Name: "labels", In: Newest, Fate: Honoured, Example: "{team: builds}", Note: "of the Deployments and pods of both programs"},
	{Name: "annotations", In: Newest, Fate: Honoured, Example: "{owner: builds}", Note: "of the Deployments and pods of both programs"},
	{Name: "controllerEnv", In: Newest, Fate: Honoured, Example: "[{name: HTTPS_PROXY, value: 'http://proxy:3128'}]", Note: "the dispatcher's; proxy reaches everything"},
	{Name: "secretsMetadata", In: Newest, Fate: Honoured, Example: "{labels: {team: builds}, annotations: {owner: builds}}"},
	{Name: "serviceAccountMetadata", In: Newest, Fate: Honoured, Example: "{annotations: {eks.amazonaws.com/role-arn: role}}", Note: "of both programs' service accounts"},
	{Name: "nameOverride", In: Newest, Fate: Honoured, Example: "blue", Note: "names are cut at 40 characters, and were at 63"},
	{Name: "fullnameOverride", In: Newest, Fate: Honoured, Example: "green", Note: "names are cut at 40 characters, and were at 63"},
	{Name: "monitoring.podMonitor.deploy", In: Newest, Fate: Honoured, Example: "true", Note: "one for each program"},
	{Name: "monitoring.podMonitor.scrapeInterval", In: Newest, Fate: Honoured, As: "podMonitor.interval", Example: "15s"},
	{Name: "monitoring.namespace", In: Newest, Fate: Honoured, Example: "monitoring", Note: "of the PodMonitors"},
	{
		Name: "monitoring.deployGrafanaDashboard", In: Newest, Fate: Refused, As: "a dashboard of your own", Example: "true",
		Note: "the metrics have other names: docs/metrics.md lists them; false is accepted",
	},
}

// secrets are what people keep, or refer to from elsewhere.
var secrets = []Row{
	{Name: "<fullname>-secrets", In: Oldest | Newest, Fate: Honoured, Note: "made by the chart unless agentStackSecret names another"},
	{Name: "BUILDKITE_AGENT_TOKEN", In: Oldest | Newest, Fate: Honoured, Note: "in the dispatcher's Secret and in that of each namespace of jobs"},
	{Name: "BUILDKITE_TOKEN", In: Oldest, Fate: Honoured, Note: "a Secret that was made for v0.28 or later lacks it"},
}

package migration

// pluginFields are the kubernetes plugin's.
// Source: the controller's plugin type and that of its checkout, command and
// sidecar parameters at v0.4.0 and v0.47.0.
var pluginFields = []Row{
	{Name: "podSpec", In: Oldest | Newest, Fate: Honoured, Example: "{nodeSelector: {pool: builds}, containers: [{image: alpine}]}"},
	{Name: "podSpecPatch", In: Newest, Fate: Honoured, Example: "{nodeSelector: {pool: builds}}", Note: "of the containers agent and checkout only resources; a container that is not in the pod needs an image"},
	{Name: "podTemplate", In: Newest, Fate: Honoured, Example: "builds", Note: "podSpec is merged onto it, where it took the template's place"},
	{Name: "gitEnvFrom", In: Oldest | Newest, Fate: Honoured, Example: "[{secretRef: {name: git-ssh}}]"},
	{Name: "sidecars", In: Oldest | Newest, Fate: Honoured, Example: "[{name: nginx, image: nginx}]"},
	{Name: "metadata", In: Oldest | Newest, Fate: Honoured, Example: "{labels: {team: builds}, annotations: {owner: builds}}", Note: "names under buildkite.com are set by the dispatcher"},
	{Name: "extraVolumeMounts", In: Newest, Fate: Honoured, Example: "[{name: cache, mountPath: /cache}]"},
	{Name: "jobActiveDeadlineSeconds", In: Newest, Fate: Honoured, Example: "3600", Note: "counts from when the pod's node takes it up"},
	{Name: "checkout.skip", In: Newest, Fate: Honoured, Example: "true"},
	{Name: "checkout.checkoutFlags", In: Newest, Fate: Honoured, Example: "-f -q"},
	{Name: "checkout.cleanFlags", In: Newest, Fate: Honoured, Example: "-ffxd"},
	{Name: "checkout.cloneFlags", In: Newest, Fate: Honoured, Example: "-v --depth 1"},
	{Name: "checkout.fetchFlags", In: Newest, Fate: Honoured, Example: "-v --tags"},
	{Name: "checkout.noSubmodules", In: Newest, Fate: Honoured, Example: "true"},
	{Name: "checkout.submoduleCloneConfig", In: Newest, Fate: Honoured, Example: "[fetch.parallel=4]"},
	{Name: "checkout.gitMirrors.path", In: Newest, Fate: Honoured, Example: "/mirrors", Note: "with a volume"},
	{Name: "checkout.gitMirrors.volume", In: Newest, Fate: Honoured, Example: "{name: mirrors, persistentVolumeClaim: {claimName: mirrors}}"},
	{Name: "checkout.gitMirrors.cloneFlags", In: Newest, Fate: Honoured, Example: "-v --bare"},
	{Name: "checkout.gitMirrors.lockTimeout", In: Newest, Fate: Honoured, Example: "600"},
	{Name: "checkout.gitMirrors.skipUpdate", In: Newest, Fate: Honoured, Example: "true"},
	{Name: "checkout.gitCredentialsSecret", In: Newest, Fate: Honoured, Example: "{secretName: git-credentials}", Note: "a Secret with the key .git-credentials"},
	{Name: "checkout.envFrom", In: Newest, Fate: Honoured, Example: "[{secretRef: {name: git-ssh}}]"},
	{Name: "checkout.extraVolumeMounts", In: Newest, Fate: Honoured, Example: "[{name: cache, mountPath: /cache}]"},
	{Name: "commandParams.interposer", In: Newest, Fate: Honoured, Example: "vector"},
	{Name: "commandParams.envFrom", In: Newest, Fate: Honoured, Example: "[{configMapRef: {name: build}}]"},
	{Name: "commandParams.extraVolumeMounts", In: Newest, Fate: Honoured, Example: "[{name: cache, mountPath: /cache}]"},
	{Name: "sidecarParams.envFrom", In: Newest, Fate: Honoured, Example: "[{configMapRef: {name: build}}]"},
	{Name: "sidecarParams.extraVolumeMounts", In: Newest, Fate: Honoured, Example: "[{name: cache, mountPath: /cache}]"},
}

// stepFields are read from a step outside the plugin.
var stepFields = []Row{
	{Name: "image", In: Newest, Fate: Honoured, Example: "golang:1.26", Note: "for all job containers"},
	{Name: "agents.resource_class", In: Newest, Fate: Honoured, Example: "large"},
}

// labels and annotations are on the pods. The existing stack had them on its
// Jobs, too.
// Source: the constants of the controller's configuration and scheduler at
// v0.4.0 and v0.47.0.
var labels = []Row{
	{Name: "buildkite.com/job-uuid", In: Oldest | Newest, Fate: Honoured},
	{Name: "buildkite.com/job-tag", In: Oldest, Fate: Refused, As: "tag.buildkite.com/queue", Note: "there is a label for each tag"},
	{Name: "buildkite.com/controller-id", In: Newest, Fate: Honoured, Note: "what was id is controller-id"},
	{Name: "tag.buildkite.com/<key>", In: Newest, Fate: Honoured},
}

var annotations = []Row{
	{Name: "buildkite.com/build-url", In: Oldest | Newest, Fate: Honoured},
	{Name: "buildkite.com/build-branch", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/build-repo", In: Newest, Fate: Honoured, Note: "without the password, if the address has one"},
	{Name: "buildkite.com/job-url", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/pipeline-slug", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/step-key", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/job-priority", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/pod-template-name", In: Newest, Fate: Honoured},
	{Name: "buildkite.com/sidecar-<n>", In: Newest, Fate: Refused, As: "restartPolicy: Always", Note: "sidecars are the init containers that have it"},
	{Name: "cluster-autoscaler.kubernetes.io/safe-to-evict", In: Newest, Fate: Honoured, Note: "false, unless the plugin's metadata says otherwise"},
}

package mutator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// policyConfig is the standard configuration with more in it.
func policyConfig(t *testing.T, more string) Config {
	t.Helper()
	config, errs := ParseConfig([]byte(readFile(t, "testdata/default.config.yaml") + more))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

// policyPod is a job pod with one container, build; the texts are YAML that goes
// into its spec, its container and its annotations.
func policyPod(t *testing.T, spec, container, annotations string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "build", Image: "alpine:3", Command: []string{"true"}}}}}
	pod.Annotations = map[string]string{contract.JobContainersAnnotation: "build"}
	for _, part := range []struct {
		text   string
		target any
	}{{container, &pod.Spec.Containers[0]}, {annotations, &pod.Annotations}, {spec, &pod.Spec}} {
		if err := yaml.UnmarshalStrict([]byte(part.text), part.target); err != nil {
			t.Fatalf("%s: %v", part.text, err)
		}
	}
	return pod
}

const notAllowed = "the platform's policy does not allow "

// TestPolicyRules: what each rule of the policy takes and refuses, with its
// default and with a setting. Every rule is in both columns.
func TestPolicyRules(t *testing.T) {
	type pod struct{ spec, container, annotations string }
	spec := func(text string) pod { return pod{spec: text} }
	container := func(text string) pod { return pod{container: text} }
	plugin := func(text string) pod { return pod{annotations: "buildkite.com/plugin: '" + text + "'"} }
	volumeOf := func(source string) pod {
		return pod{spec: "volumes: [{name: v, " + source + "}]", container: "volumeMounts: [{name: v, mountPath: /v, readOnly: true}]"}
	}
	writable := func(source string) pod {
		return pod{spec: "volumes: [{name: v, " + source + "}]", container: "volumeMounts: [{name: v, mountPath: /v}]"}
	}
	cases := []struct {
		// rule is the key and value under policy; empty is the default.
		rule string
		pod  pod
		// want begins the only error; empty is none.
		want string
	}{
		{"", spec("{}"), ""},
		{"", spec("serviceAccountName: default"), ""},
		{"", spec("serviceAccountName: admin"), `spec.serviceAccountName: Forbidden: ` + notAllowed + `"admin"; use what it allows, "default", or ask`},
		{"", spec("serviceAccount: admin"), `spec.serviceAccountName: Forbidden: ` + notAllowed + `"admin"`},
		{"serviceAccounts: {allow: [default, ci-*]}", spec("serviceAccountName: ci-deploy"), ""},
		{"serviceAccounts: {allow: [ci-*]}", spec("{}"), `spec.serviceAccountName: Forbidden: ` + notAllowed + `"default"`},
		{"", spec("automountServiceAccountToken: true"), ""},
		{"serviceAccountTokens: false", spec("{}"), "spec.automountServiceAccountToken: Forbidden: the platform's policy allows no token"},
		{"serviceAccountTokens: false", spec("automountServiceAccountToken: false"), ""},
		{"serviceAccountTokens: false", spec("{automountServiceAccountToken: false, volumes: [{name: v, projected: {sources: [{configMap: {name: c}}, {serviceAccountToken: {path: t}}]}}]}"),
			"spec.volumes[0].projected.sources[1].serviceAccountToken: Forbidden: the platform's policy allows no token"},

		{"", spec("hostNetwork: true"), "spec.hostNetwork: Forbidden: the platform's policy does not allow it"},
		{"", spec("hostPID: true"), "spec.hostPID: Forbidden"},
		{"", spec("hostIPC: true"), "spec.hostIPC: Forbidden"},
		{"", container("ports: [{containerPort: 1}, {containerPort: 2, hostPort: 2}]"), "spec.containers[0].ports[1].hostPort: Forbidden"},
		{"", container("readinessProbe: {httpGet: {port: 1, host: h}}"), "spec.containers[0].readinessProbe.httpGet.host: Forbidden"},
		{"", container("readinessProbe: {httpGet: {port: 1}}"), ""},
		{"", container("lifecycle: {preStop: {tcpSocket: {port: 1, host: h}}}"), "spec.containers[0].lifecycle.preStop.tcpSocket.host: Forbidden"},
		{"", plugin("sidecars: [{image: a, startupProbe: {tcpSocket: {port: 1, host: h}}}]"), "metadata.annotations[buildkite.com/plugin].sidecars[0].startupProbe.tcpSocket.host: Forbidden"},
		{"hostNamespaces: true", spec("{hostNetwork: true, hostPID: true, hostIPC: true}"), ""},
		{"hostNamespaces: true", container("{ports: [{containerPort: 2, hostPort: 2}], readinessProbe: {httpGet: {port: 1, host: h}}}"), ""},

		{"", volumeOf("hostPath: {path: /var/run/docker.sock}"), `spec.volumes[0].hostPath.path: Forbidden: ` + notAllowed + `"/var/run/docker.sock"; remove it`},
		{"hostPath: {allow: [/var/cache]}", volumeOf("hostPath: {path: /var/cache}"), ""},
		{"hostPath: {allow: [/var/cache/]}", volumeOf("hostPath: {path: /var/cache//go/}"), ""},
		{"hostPath: {allow: [/var/cache]}", volumeOf("hostPath: {path: /var/cached}"), `spec.volumes[0].hostPath.path: Forbidden: ` + notAllowed + `"/var/cached"; use what it allows, "/var/cache"`},
		{"hostPath: {allow: [/var/cache]}", volumeOf("hostPath: {path: /var/cache/../lib}"), `spec.volumes[0].hostPath.path: Forbidden`},
		{"hostPath: {allow: [/var]}", volumeOf("hostPath: {path: /var/link/../cache}"), `spec.volumes[0].hostPath.path: Forbidden`},
		{"hostPath: {allow: [/]}", volumeOf("hostPath: {path: /etc}"), ""},
		{"hostPath: {allow: [/var/cache]}", writable("hostPath: {path: /var/cache}"), "spec.containers[0].volumeMounts[0].readOnly: Forbidden: the platform's policy allows only to read"},
		{"hostPath: {allow: [/var/cache], writable: true}", writable("hostPath: {path: /var/cache}"), ""},
		{"hostPath: {allow: [/var/cache]}", pod{spec: "volumes: [{name: v, hostPath: {path: /var/cache}}]", annotations: "buildkite.com/plugin: 'extraVolumeMounts: [{name: v, mountPath: /v}]'"},
			"metadata.annotations[buildkite.com/plugin].extraVolumeMounts[0].readOnly: Forbidden"},
		{"hostPath: {allow: [/var/cache]}", spec("volumes: [{name: workspace, hostPath: {path: /var/cache}}]"), "spec.volumes[0].hostPath.path: Forbidden: the platform's policy allows only to read directories of the node; a job writes"},
		{"", plugin("checkout: {gitMirrors: {volume: {hostPath: {path: /}}}}"), "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.hostPath.path: Forbidden: " + notAllowed},
		{"hostPath: {allow: [/m]}", plugin("checkout: {gitMirrors: {volume: {hostPath: {path: /m}}}}"), "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.hostPath.path: Forbidden: the platform's policy allows only to read"},

		{"", container("securityContext: {privileged: true}"), "spec.containers[0].securityContext.privileged: Forbidden"},
		{"", spec("initContainers: [{name: i, image: a, securityContext: {privileged: true}}]"), "spec.initContainers[0].securityContext.privileged: Forbidden"},
		{"", plugin("sidecars: [{image: a, securityContext: {privileged: true}}]"), "metadata.annotations[buildkite.com/plugin].sidecars[0].securityContext.privileged: Forbidden"},
		{"", plugin("podSpecPatch: {containers: [{name: build, securityContext: {privileged: true}}]}"), "spec.containers[0].securityContext.privileged: Forbidden"},
		{"", container("securityContext: {procMount: Unmasked}"), "spec.containers[0].securityContext.procMount: Forbidden"},
		{"", pod{spec: "hostUsers: false", container: "securityContext: {procMount: Unmasked}"}, ""},
		{"", container("securityContext: {windowsOptions: {hostProcess: true}}"), "spec.containers[0].securityContext.windowsOptions.hostProcess: Forbidden"},
		{"", spec("securityContext: {windowsOptions: {hostProcess: true}}"), "spec.securityContext.windowsOptions.hostProcess: Forbidden"},
		{"privileged: true", container("securityContext: {privileged: true, procMount: Unmasked, windowsOptions: {hostProcess: true}}"), ""},

		{"", container("securityContext: {seccompProfile: {type: Unconfined}}"), "spec.containers[0].securityContext.seccompProfile.type: Forbidden"},
		{"", spec("securityContext: {seccompProfile: {type: Unconfined}}"), "spec.securityContext.seccompProfile.type: Forbidden"},
		{"", spec("securityContext: {appArmorProfile: {type: Unconfined}}"), "spec.securityContext.appArmorProfile.type: Forbidden"},
		{"", spec("securityContext: {seLinuxOptions: {type: spc_t}}"), "spec.securityContext.seLinuxOptions.type: Forbidden"},
		{"", spec("securityContext: {seLinuxOptions: {user: u}}"), "spec.securityContext.seLinuxOptions.user: Forbidden"},
		{"", spec("securityContext: {seLinuxOptions: {role: r}}"), "spec.securityContext.seLinuxOptions.role: Forbidden"},
		{"", spec("securityContext: {seLinuxOptions: {type: container_t, level: s0}}"), ""},
		{"", pod{annotations: "container.apparmor.security.beta.kubernetes.io/build: unconfined"}, "metadata.annotations[container.apparmor.security.beta.kubernetes.io/build]: Forbidden"},
		{"", pod{annotations: "container.apparmor.security.beta.kubernetes.io/build: localhost/mine"}, ""},
		{"unconfined: true", pod{spec: "securityContext: {seccompProfile: {type: Unconfined}, seLinuxOptions: {type: spc_t}}", annotations: "container.apparmor.security.beta.kubernetes.io/build: unconfined"}, ""},

		{"", container("securityContext: {capabilities: {add: [CHOWN, SYS_ADMIN]}}"), `spec.containers[0].securityContext.capabilities.add[1]: Forbidden: ` + notAllowed + `"SYS_ADMIN"; use what it allows, "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE" and 5 more, or ask`},
		{"", container("securityContext: {capabilities: {add: [ALL]}}"), `spec.containers[0].securityContext.capabilities.add[0]: Forbidden`},
		{"", container("securityContext: {capabilities: {add: [cap_chown]}}"), `spec.containers[0].securityContext.capabilities.add[0]: Forbidden: the platform's policy and Pod Security know it as CHOWN; write it so`},
		{"capabilities: {allow: [NET_ADMIN]}", container("securityContext: {capabilities: {add: [NET_ADMIN]}}"), ""},
		{"capabilities: {allow: ['*'], deny: [SYS_ADMIN]}", container("securityContext: {capabilities: {add: [cap_sys_admin]}}"), `spec.containers[0].securityContext.capabilities.add[0]: Forbidden: the platform's policy denies "SYS_ADMIN" (SYS_ADMIN)`},
		{"capabilities: {allow: ['*'], deny: [SYS_ADMIN]}", container("securityContext: {capabilities: {add: [all]}}"), `spec.containers[0].securityContext.capabilities.add[0]: Forbidden: the platform's policy denies "SYS_ADMIN"; name the`},
		{"capabilities: {allow: []}", container("securityContext: {capabilities: {add: [CHOWN]}}"), `spec.containers[0].securityContext.capabilities.add[0]: Forbidden: ` + notAllowed + `"CHOWN"; remove it`},

		{"", spec("securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}, {name: kernel.msgmax, value: '1'}]}"), "spec.securityContext.sysctls[1].name: Forbidden"},
		{"sysctls: {allow: [kernel.*]}", spec("securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}"), ""},
		{"", spec("shareProcessNamespace: true"), "spec.shareProcessNamespace: Forbidden: all containers could read what the agent can"},
		{"shareProcessNamespace: true", spec("shareProcessNamespace: true"), ""},
		{"", container("securityContext: {allowPrivilegeEscalation: true}"), ""},
		{"allowPrivilegeEscalation: false", container("securityContext: {allowPrivilegeEscalation: true}"), "spec.containers[0].securityContext.allowPrivilegeEscalation: Forbidden: the platform's policy wants false"},
		{"allowPrivilegeEscalation: false", container("image: b"), "spec.containers[0].securityContext.allowPrivilegeEscalation: Forbidden"},
		{"allowPrivilegeEscalation: false", container("securityContext: {allowPrivilegeEscalation: false}"), ""},

		{"", spec("nodeName: n"), "spec.nodeName: Forbidden: the platform's policy leaves the choice of a node to the scheduler"},
		{"nodeName: true", spec("nodeName: n"), ""},
		{"", spec("nodeSelector: {disk: ssd}"), ""},
		{"nodeSelector: {allow: [disk]}", spec("nodeSelector: {disk: ssd, zone: a}"), `spec.nodeSelector[zone]: Forbidden: ` + notAllowed + `"zone"`},
		{"nodeAffinity: {deny: [metadata.name]}", spec("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [n]}]}]}}}"),
			`spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Forbidden: the platform's policy denies "metadata.name"`},
		{"nodeAffinity: {allow: [disk]}", spec("affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: disk, operator: Exists}, {key: zone, operator: Exists}]}}]}}"),
			`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[1].key: Forbidden`},
		{"", spec("tolerations: [{key: ci}, {key: node-role.kubernetes.io/control-plane, operator: Exists}]"), `spec.tolerations[1].key: Forbidden: the platform's policy denies`},
		{"", spec("tolerations: [{operator: Exists}]"), "spec.tolerations[0]: Forbidden: without a key it is of every taint"},
		{"tolerations: {allow: ['*'], deny: []}", spec("tolerations: [{operator: Exists}]"), ""},
		{"tolerations: {allow: [ci]}", spec("tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}, {key: ci}]"), ""},
		{"tolerations: {allow: [ci]}", spec("tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoSchedule}]"), "spec.tolerations[0].key: Forbidden"},
		{"", spec("schedulerName: mine"), ""},
		{"schedulerNames: {allow: []}", spec("schedulerName: mine"), "spec.schedulerName: Forbidden"},
		{"schedulerNames: {allow: []}", spec("schedulerName: default-scheduler"), ""},
		{"", spec("priorityClassName: system-node-critical"), "spec.priorityClassName: Forbidden: the platform's policy denies"},
		{"", spec("priorityClassName: high"), ""},
		{"priorityClasses: {allow: [low]}", spec("priorityClassName: high"), "spec.priorityClassName: Forbidden"},
		{"", spec("runtimeClassName: kata"), ""},
		{"runtimeClasses: {allow: [gvisor]}", spec("runtimeClassName: kata"), "spec.runtimeClassName: Forbidden"},

		{"images: {allow: [docker.io/library/*]}", container("image: alpine"), ""},
		{"images: {allow: [docker.io/library/*]}", container("image: ghcr.io/a/b:1"), `spec.containers[0].image: Forbidden: ` + notAllowed + `"ghcr.io/a/b:1"; use what it allows, "docker.io/library/*"`},
		{"images: {allow: [docker.io/library/*]}", spec("initContainers: [{name: i, image: acme/a}]"), `spec.initContainers[0].image: Forbidden: ` + notAllowed + `"docker.io/acme/a:latest"`},
		{"images: {allow: [docker.io/library/*]}", plugin("sidecars: [{image: quay.io/a/b}]"), "metadata.annotations[buildkite.com/plugin].sidecars[0].image: Forbidden"},
		{"images: {allow: [docker.io/library/*]}", spec("volumes: [{name: v, image: {reference: quay.io/a/b}}]"), "spec.volumes[0].image.reference: Forbidden"},
		{"images: {allow: [docker.io/library/*]}", pod{annotations: "buildkite.com/image: quay.io/a/b"}, "spec.containers[0].image: Forbidden"},
		{"images: {allow: [docker.io/library/*]}", container("image: ''"), ""},
		{"", pod{annotations: "buildkite.com/agent-image: ghcr.io/buildkite/agent:4"}, ""},
		{"", pod{annotations: "buildkite.com/agent-image: evil/agent"}, "metadata.annotations[buildkite.com/agent-image]: Forbidden: " + notAllowed},
		{"agentImages: {allow: ['*']}", pod{annotations: "buildkite.com/agent-image: evil/agent"}, ""},
		{"", pod{annotations: "buildkite.com/agent-token-secret: buildkite-agent-token"}, ""},
		{"", pod{annotations: "buildkite.com/agent-token-secret: other"}, "metadata.annotations[buildkite.com/agent-token-secret]: Forbidden: " + notAllowed},
		{"agentTokenSecrets: {allow: [token-*]}", pod{annotations: "buildkite.com/agent-token-secret: token-a"}, ""},
		{"agentTokenSecrets: {allow: [token-*]}", container("envFrom: [{secretRef: {name: token-b}}]"), "spec.containers[0].envFrom[0].secretRef.name: Forbidden: this Secret holds the agent's token"},

		{"", container("envFrom: [{secretRef: {name: mine}}]"), ""},
		{"secrets: {allow: [ci-*]}", container("envFrom: [{secretRef: {name: ci-npm}}, {secretRef: {name: prod}}]"), `spec.containers[0].envFrom[1].secretRef.name: Forbidden: ` + notAllowed + `"prod"`},
		{"secrets: {allow: [ci-*]}", volumeOf("projected: {sources: [{secret: {name: prod}}]}"), "spec.volumes[0].projected.sources[0].secret.name: Forbidden"},
		{"secrets: {allow: [ci-*]}", volumeOf("csi: {driver: d, volumeAttributes: {secretProviderClass: prod}}"), ""},
		{"secrets: {allow: [ci-*]}", plugin("gitEnvFrom: [{secretRef: {name: prod}}]"), "metadata.annotations[buildkite.com/plugin].gitEnvFrom[0].secretRef.name: Forbidden"},
		{"secrets: {allow: [ci-*]}", plugin("checkout: {gitCredentialsSecret: {secretName: prod}}"), "metadata.annotations[buildkite.com/plugin].checkout.gitCredentialsSecret.secretName: Forbidden"},
		{"secrets: {allow: [ci-*]}", plugin("sidecars: [{image: a, env: [{name: A, valueFrom: {secretKeyRef: {name: prod, key: k}}}]}]"), "metadata.annotations[buildkite.com/plugin].sidecars[0].env[0].valueFrom.secretKeyRef.name: Forbidden"},
		{"secrets: {allow: [ci-*]}", spec("imagePullSecrets: [{name: prod}]"), ""},
		{"imagePullSecrets: {allow: [ci-*]}", spec("imagePullSecrets: [{name: prod}]"), "spec.imagePullSecrets[0].name: Forbidden"},
		{"", volumeOf("persistentVolumeClaim: {claimName: cache}"), ""},
		{"persistentVolumeClaims: {allow: [team-*]}", volumeOf("persistentVolumeClaim: {claimName: cache}"), "spec.volumes[0].persistentVolumeClaim.claimName: Forbidden"},
		{"persistentVolumeClaims: {allow: [team-*]}", plugin("checkout: {gitMirrors: {volume: {persistentVolumeClaim: {claimName: cache}}}}"), "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.persistentVolumeClaim.claimName: Forbidden"},
		{"volumes: {allow: [emptyDir, secret]}", volumeOf("nfs: {server: s, path: /}"), `spec.volumes[0].nfs: Forbidden: ` + notAllowed + `"nfs"`},
		{"volumes: {allow: [emptyDir, secret]}", volumeOf("emptyDir: {}"), ""},

		{"annotations: {allow: [team]}", pod{annotations: "{team: a, buildkite.com/agent-tags: queue=a, kubectl.kubernetes.io/last-applied-configuration: '{}'}"}, ""},
		{"annotations: {allow: [team]}", pod{annotations: "{eks.amazonaws.com/role: admin}"}, `metadata.annotations[eks.amazonaws.com/role]: Forbidden: ` + notAllowed + `"eks.amazonaws.com/role"; use what it allows, "team", or`},
		{"annotations: {deny: ['kubectl.kubernetes.io/*']}", pod{annotations: "kubectl.kubernetes.io/last-applied-configuration: '{}'"}, "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]: Forbidden: the platform's policy denies"},
		{"annotations: {allow: [buildkite.org/*]}", pod{annotations: "{notbuildkite.com/x: a}"}, `metadata.annotations[notbuildkite.com/x]: Forbidden`},
		{"", spec("schedulingGates: [{name: kueue}]"), ""},
		{"schedulingGates: {allow: [kueue.x-k8s.io/*]}", spec("schedulingGates: [{name: buildkite.com/inject}, {name: forever}]"), "spec.schedulingGates[1].name: Forbidden"},

		{"maxActiveDeadlineSeconds: 60", spec("activeDeadlineSeconds: 60"), ""},
		{"maxActiveDeadlineSeconds: 60", spec("activeDeadlineSeconds: 61"), "spec.activeDeadlineSeconds: Forbidden: the platform's policy allows at most 60, not 61"},
		{"maxActiveDeadlineSeconds: 60", plugin("jobActiveDeadlineSeconds: 61"), "metadata.annotations[buildkite.com/plugin].jobActiveDeadlineSeconds: Forbidden"},
		{"maxTerminationGracePeriodSeconds: 60", spec("terminationGracePeriodSeconds: 61"), "spec.terminationGracePeriodSeconds: Forbidden"},
	}
	for _, tc := range cases {
		name := tc.rule + " " + tc.pod.spec + tc.pod.container + tc.pod.annotations
		t.Run(name, func(t *testing.T) {
			rule := ""
			if tc.rule != "" {
				rule = "policy: {" + tc.rule + "}\n"
			}
			_, errs := policyConfig(t, rule).Mutate(policyPod(t, tc.pod.spec, tc.pod.container, tc.pod.annotations))
			got := errorLines(errs)
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("errors:\n%swant:\n%s", got, tc.want)
			}
		})
	}
}

// TestPolicyLabels is about what is not in spec and annotations.
func TestPolicyLabels(t *testing.T) {
	config := policyConfig(t, "policy: {labels: {allow: [team]}}\n")
	pod := policyPod(t, "", "", "")
	pod.Labels = map[string]string{"team": "a", contract.InjectLabel: "true", contract.TagLabelPrefix + "queue": "a", "batch.kubernetes.io/job-name": "a", "app": "mesh"}
	pod.Finalizers = []string{"batch.kubernetes.io/job-tracking", "example.com/forever"}
	_, errs := config.Mutate(pod)
	want := `metadata.labels[app]: Forbidden: the platform's policy does not allow "app"; use what it allows, "team", or ask your platform team
metadata.finalizers[1]: Forbidden: the platform's policy does not allow "example.com/forever"; use what it allows, "batch.kubernetes.io/job-tracking", "kueue.x-k8s.io/managed", or ask your platform team
`
	if diff := cmp.Diff(want, errorLines(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// TestPolicyExempts: the platform's own settings are not held against an author,
// and an author who asks for the same kind of thing is.
func TestPolicyExempts(t *testing.T) {
	const platform = `
podSpecPatch:
  serviceAccountName: ci
  hostNetwork: true
  nodeSelector: {pool: ci}
  tolerations: [{key: node-role.kubernetes.io/ci, operator: Exists}]
  priorityClassName: system-ci
  imagePullSecrets: [{name: pull}]
  containers:
  - name: build
    securityContext: {privileged: true, capabilities: {add: [NET_ADMIN]}}
    volumeMounts: [{name: docker, mountPath: /var/run/docker.sock}]
    envFrom: [{secretRef: {name: ci}}]
  volumes: [{name: docker, hostPath: {path: /var/run/docker.sock}}]
defaultMetadata: {labels: {mesh: "off"}, annotations: {sidecar: "no"}}
defaultCheckoutParams: {gitMirrors: {volume: {hostPath: {path: /mirrors}}}, gitCredentialsSecret: {secretName: git}}
resourceClasses: {small: {nodeSelector: {size: s}}}
defaultResourceClassName: small
jobActiveDeadlineSeconds: 600
policy:
  nodeSelector: {allow: []}
  imagePullSecrets: {allow: []}
  secrets: {allow: []}
  labels: {allow: []}
  annotations: {allow: []}
  maxActiveDeadlineSeconds: 60
`
	cases := map[string]struct {
		spec, container, annotations, label string
		want                                string
	}{
		"nothing of the author's": {},
		"another service account": {annotations: "buildkite.com/plugin: 'podSpecPatch: {serviceAccountName: admin}'", want: "spec.serviceAccountName: Forbidden"},
		"another host namespace":  {spec: "hostPID: true", want: "spec.hostPID: Forbidden"},
		"another node":            {spec: "nodeSelector: {pool2: a}", want: "spec.nodeSelector[pool2]: Forbidden"},
		"another value":           {annotations: "buildkite.com/plugin: 'podSpecPatch: {nodeSelector: {pool: prod}}'", want: "spec.nodeSelector[pool]: Forbidden"},
		"another container":       {spec: "initContainers: [{name: i, image: a, securityContext: {privileged: true}}]", want: "spec.initContainers[0].securityContext.privileged: Forbidden"},
		"another capability":      {annotations: "buildkite.com/plugin: 'podSpecPatch: {containers: [{name: build, securityContext: {capabilities: {add: [SYS_PTRACE]}}}]}'", want: "spec.containers[0].securityContext.capabilities.add[0]: Forbidden"},
		"another directory":       {spec: "volumes: [{name: etc, hostPath: {path: /etc}}]", want: "spec.volumes[0].hostPath.path: Forbidden"},
		"another directory by patch": {annotations: "buildkite.com/plugin: 'podSpecPatch: {volumes: [{name: docker, hostPath: {path: /etc}}]}'",
			want: "spec.volumes[0].hostPath.path: Forbidden"},
		"other mirrors":    {annotations: "buildkite.com/plugin: 'checkout: {gitMirrors: {volume: {hostPath: {path: /}}}}'", want: "metadata.annotations[buildkite.com/plugin].checkout.gitMirrors.volume.hostPath.path: Forbidden"},
		"another Secret":   {container: "env: [{name: A, valueFrom: {secretKeyRef: {name: prod, key: k}}}]", want: "spec.containers[0].env[0].valueFrom.secretKeyRef.name: Forbidden"},
		"another label":    {label: "on", want: "metadata.labels[mesh]: Forbidden"},
		"another deadline": {spec: "activeDeadlineSeconds: 601", want: "spec.activeDeadlineSeconds: Forbidden"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := policyPod(t, tc.spec, tc.container, tc.annotations)
			pod.Labels = map[string]string{contract.JobUUIDLabel: "u"}
			if tc.label != "" {
				pod.Labels["mesh"] = tc.label
			}
			_, errs := policyConfig(t, platform).Mutate(pod)
			got := errorLines(errs)
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("errors:\n%swant:\n%s", got, tc.want)
			}
		})
	}
}

func TestPolicyForNamespace(t *testing.T) {
	config := policyConfig(t, `
policy: {nodeName: true}
namespaces:
  open: {policy: {privileged: true}}
  strict: {podSecurity: restricted}
`)
	privileged := policyPod(t, "", "securityContext: {privileged: true}", "")
	named := policyPod(t, "nodeName: n", "", "")
	for _, tc := range []struct {
		namespace  string
		pod        *corev1.Pod
		want       string
		restricted bool
	}{
		{"other", privileged, "spec.containers[0].securityContext.privileged: Forbidden", false},
		{"other", named, "", false},
		{"open", privileged, "", false},
		// A namespace's policy is in place of the other, not on top of it.
		{"open", named, "spec.nodeName: Forbidden", false},
		{"strict", named, "", true},
	} {
		pod := tc.pod.DeepCopy()
		_, errs := config.ForNamespace(tc.namespace).Mutate(pod)
		if got := errorLines(errs); tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: errors:\n%swant:\n%s", tc.namespace, got, tc.want)
		}
		if len(errs) == 0 && (pod.Spec.SecurityContext != nil) != tc.restricted {
			t.Errorf("%s: security context %+v", tc.namespace, pod.Spec.SecurityContext)
		}
	}
	if config.ForNamespace("strict").Digest() != config.Digest() {
		t.Error("a namespace's configuration has a digest of its own; people look for that of the file")
	}
}

func TestProhibitKubernetesPlugin(t *testing.T) {
	config := policyConfig(t, "prohibitKubernetesPlugin: true\n")
	for _, tc := range []struct {
		annotations string
		dispatched  bool
		want        string
	}{
		{"", true, ""},
		{"buildkite.com/plugin: 'checkout: {skip: true}'", false, ""},
		{"buildkite.com/plugin: 'checkout: {skip: true}'", true, "metadata.annotations[buildkite.com/plugin]: Forbidden: the kubernetes plugin is switched off here; remove it from the step, or ask your platform team\n"},
	} {
		pod := policyPod(t, "", "", tc.annotations)
		if tc.dispatched {
			pod.Labels = map[string]string{contract.ControllerIDLabel: "main"}
		}
		_, errs := config.Mutate(pod)
		if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
	}
}

// TestPolicyErrors: all mistakes of a policy are found at start.
func TestPolicyErrors(t *testing.T) {
	_, errs := ParseConfig([]byte(readFile(t, "testdata/default.config.yaml") + `
podSecurity: baseline
protectedSecrets: ["", a]
policy:
  images: {allow: [alpine, "*", registry.example.com/*], deny: [""]}
  capabilities: {allow: [CAP_CHOWN, chown, NET_ADMIN]}
  volumes: {allow: [emptydir, host*]}
  hostPath: {allow: [cache, /a/../b, /c/, /]}
  maxActiveDeadlineSeconds: 0
  maxTerminationGracePeriodSeconds: -1
namespaces:
  Bad: {}
  good: {podSecurity: none, policy: {labels: {deny: [""]}}}
`))
	want := `policy.capabilities.allow[0]: Invalid value: "CAP_CHOWN": want capital letters and no CAP_, as in NET_ADMIN
policy.capabilities.allow[1]: Invalid value: "chown": want capital letters and no CAP_, as in NET_ADMIN
policy.hostPath.allow[0]: Invalid value: "cache": want a directory's absolute path, without . and ..
policy.hostPath.allow[1]: Invalid value: "/a/../b": want a directory's absolute path, without . and ..
policy.images.allow[0]: Invalid value: "alpine": name the registry too, as in docker.io/library/alpine:*
policy.images.deny[0]: Required value: want a pattern; an empty list matches nothing
policy.maxActiveDeadlineSeconds: Invalid value: 0: want a number of seconds above 0; leave it out for no bound
policy.maxTerminationGracePeriodSeconds: Invalid value: -1: want a number of seconds above 0; leave it out for no bound
policy.volumes.allow[0]: Invalid value: "emptydir": no such type of volume; did you mean emptyDir?
podSecurity: Unsupported value: "baseline": supported values: "", "restricted"
protectedSecrets[0]: Invalid value: "": want the name of a Secret, perhaps with * in it
namespaces[Bad]: Invalid value: "Bad": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
namespaces[good].policy.labels.deny[0]: Required value: want a pattern; an empty list matches nothing
namespaces[good].podSecurity: Unsupported value: "none": supported values: "", "restricted"
`
	if diff := cmp.Diff(want, errorLines(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	_, errs = ParseConfig([]byte(readFile(t, "testdata/default.config.yaml") + "policy: {hostNamespace: true, images: {alow: []}}\nnamespaces: {a: {polcy: {}}}\n"))
	want = `namespaces[a].polcy: Forbidden: unknown field; did you mean "policy"?
policy.hostNamespace: Forbidden: unknown field; did you mean "hostNamespaces"?
policy.images.alow: Forbidden: unknown field; did you mean "allow"?
`
	if diff := cmp.Diff(want, errorLines(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

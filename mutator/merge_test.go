package mutator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// parsedConfig returns the minimal configuration with more lines.
func parsedConfig(t *testing.T, more string) Config {
	t.Helper()
	config, errs := ParseConfig([]byte(minimalConfig + more))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

// mergePod is a pod with a job and the container "test", to be edited.
func mergePod(plugin string, edit func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Labels = map[string]string{contract.InjectLabel: contract.InjectEnabled, contract.JobUUIDLabel: "0190046e"}
	pod.Annotations = map[string]string{contract.JobContainersAnnotation: "test"}
	if plugin != "" {
		pod.Annotations[contract.PluginAnnotation] = plugin
	}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers = []corev1.Container{{Name: "test", Image: "own", Command: []string{"make"}}}
	if edit != nil {
		edit(pod)
	}
	return pod
}

// injected mutates a pod, which must be accepted.
func injected(t *testing.T, config Config, pod *corev1.Pod) (*corev1.Pod, []string) {
	t.Helper()
	result, errs := config.Mutate(pod)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return pod, result.Warnings
}

// TestMergeOrder holds each part against the one before it: with any two
// neighbours swapped a case fails.
func TestMergeOrder(t *testing.T) {
	image := func(pod *corev1.Pod) string { return pod.Spec.Containers[0].Image }
	disk := func(pod *corev1.Pod) string { return pod.Spec.NodeSelector["disk"] }
	cpu := func(pod *corev1.Pod) string { return pod.Spec.Containers[0].Resources.Requests.Cpu().String() }
	const class = "resourceClasses: {large: {resources: {requests: {cpu: 4}}, nodeSelector: {disk: class}}}\n"
	const patchDisk = "podSpecPatch: {nodeSelector: {disk: platform}}\n"
	const patchImage = "podSpecPatch: {containers: [{name: test, image: platform}]}\n"
	for name, tc := range map[string]struct {
		config, plugin string
		edit           func(*corev1.Pod)
		got            func(*corev1.Pod) string
		want           string
	}{
		"default metadata < pod": {
			config: "defaultMetadata: {labels: {team: default}}\n",
			edit:   func(pod *corev1.Pod) { pod.Labels["team"] = "own" },
			got:    func(pod *corev1.Pod) string { return pod.Labels["team"] }, want: "own",
		},
		"default metadata reach a pod without": {
			config: "defaultMetadata: {annotations: {team: default}}\n",
			got:    func(pod *corev1.Pod) string { return pod.Annotations["team"] }, want: "default",
		},
		"default params < plugin": {
			config: "defaultCommandParams: {interposer: legacy}\n", plugin: "commandParams: {interposer: buildkite}",
			got:  func(pod *corev1.Pod) string { return pod.Spec.Containers[0].Args[2] },
			want: "--interposer=buildkite",
		},
		"default params reach a pod without": {
			config: "defaultCommandParams: {interposer: legacy}\n",
			got:    func(pod *corev1.Pod) string { return pod.Spec.Containers[0].Args[2] }, want: "--interposer=legacy",
		},
		"pod < resource class, of nodes": {
			config: class + "defaultResourceClassName: large\n",
			edit:   func(pod *corev1.Pod) { pod.Spec.NodeSelector = map[string]string{"disk": "own"} },
			got:    disk, want: "class",
		},
		"resource class < pod, of resources": {
			config: class + "defaultResourceClassName: large\n",
			edit: func(pod *corev1.Pod) {
				pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
			},
			got: cpu, want: "1",
		},
		"resource class < platform patch": {
			config: class + "defaultResourceClassName: large\n" + patchDisk, got: disk, want: "platform",
		},
		"pod < platform patch": {config: patchImage, got: image, want: "platform"},
		"platform patch < step image": {
			config: patchImage, edit: func(pod *corev1.Pod) { pod.Annotations[contract.ImageAnnotation] = "step" },
			got: image, want: "step",
		},
		"step image < plugin patch": {
			plugin: "podSpecPatch: {containers: [{name: test, image: plugin}]}",
			edit:   func(pod *corev1.Pod) { pod.Annotations[contract.ImageAnnotation] = "step" },
			got:    image, want: "plugin",
		},
		"platform patch < plugin patch": {
			config: patchDisk, plugin: "podSpecPatch: {nodeSelector: {disk: plugin}}", got: disk, want: "plugin",
		},
		"plugin patch < secret check": {
			plugin: "podSpecPatch: {volumes: [{name: v, secret: {secretName: buildkite-agent-token}}]}",
			want:   "refused",
		},
		"plugin patch < policy": {
			plugin: "podSpecPatch: {hostNetwork: true}", want: "refused",
		},
		"plugin patch < inject": {
			plugin: "podSpecPatch: {containers: [{name: test, command: [patched]}]}",
			got: func(pod *corev1.Pod) string {
				return fmt.Sprint(pod.Spec.Containers[0].Command, pod.Spec.Containers[0].Args[4:])
			},
			want: "[/buildkite/bin/entrypoint] [patched]",
		},
		"configured deadline < pod": {
			edit: func(pod *corev1.Pod) { pod.Spec.ActiveDeadlineSeconds = new(int64(7)) }, got: deadline, want: "7",
		},
		"configured deadline < platform patch": {
			config: "podSpecPatch: {activeDeadlineSeconds: 8}\n", got: deadline, want: "8",
		},
		"platform patch < jobActiveDeadlineSeconds": {
			config: "podSpecPatch: {activeDeadlineSeconds: 8}\n", plugin: "jobActiveDeadlineSeconds: 9", got: deadline, want: "9",
		},
		"plugin patch < jobActiveDeadlineSeconds": {
			plugin: "{jobActiveDeadlineSeconds: 9, podSpecPatch: {activeDeadlineSeconds: 8}}", got: deadline, want: "9",
		},
		"default deadline":    {got: deadline, want: "21600"},
		"configured deadline": {config: "jobActiveDeadlineSeconds: 60\n", got: deadline, want: "60"},
		"no deadline":         {config: "jobActiveDeadlineSeconds: 0\n", got: deadline, want: "none"},
		"no deadline without a job": {
			config: "jobActiveDeadlineSeconds: 60\n", edit: func(pod *corev1.Pod) { delete(pod.Labels, contract.JobUUIDLabel) },
			got: deadline, want: "none",
		},
		"the plugin's deadline without a job": {
			plugin: "jobActiveDeadlineSeconds: 9", edit: func(pod *corev1.Pod) { delete(pod.Labels, contract.JobUUIDLabel) },
			got: deadline, want: "9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := mergePod(tc.plugin, tc.edit)
			config := parsedConfig(t, tc.config)
			_, errs := config.Mutate(pod)
			if tc.want == "refused" {
				if len(errs) == 0 {
					t.Error("accepted, want a refusal")
				}
				return
			}
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if got := tc.got(pod); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			// A replica with none of these settings confirms the pod.
			again := pod.DeepCopy()
			if _, errs := parsedConfig(t, "").Mutate(again); len(errs) > 0 {
				t.Errorf("second pass without the settings: %v", errs.ToAggregate())
			}
			if diff := cmp.Diff(pod, again); diff != "" {
				t.Errorf("second pass changed the pod:\n%s", diff)
			}
		})
	}
}

func deadline(pod *corev1.Pod) string {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return "none"
	}
	return fmt.Sprint(*pod.Spec.ActiveDeadlineSeconds)
}

// TestMergeIsDeterministic: pods and refusals alike.
func TestMergeIsDeterministic(t *testing.T) {
	for _, name := range []string{"merge-order", "patch-injected", "patch-refused", "patch-meets-pod", "params-default"} {
		config := goldenConfig(t, "testdata/"+name)
		want := ""
		for range 20 {
			pod := decodePod(t, readFile(t, "testdata/"+name+".in.yaml"))
			_, errs := config.Mutate(pod)
			got := encodePod(t, pod) + errorLines(errs)
			if want == "" {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: output differs:\n%s", name, diff)
			}
		}
	}
}

// TestMergeConfigErrors: the platform team hears of its mistakes at start.
func TestMergeConfigErrors(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"classes": {
			config: "defaultResourceClassName: tiny\nresourceClasses:\n" +
				"  a: {resources: {requests: {cpu: 2}, limits: {cpu: 1}}}\n" +
				"  b: {resources: {claims: [{name: c}], requests: {memory: -1}}, podResource: {limits: {nvidia.com/gpu: 1}}}\n" +
				"  c: {nodeSelector: {pool: not a label}}\n",
			want: "resourceClasses[a].resources.requests[cpu]: Invalid value: \"2\": more than the limit, 1\n" +
				"resourceClasses[b].resources.claims: Forbidden: claims are the pod's; remove the field\n" +
				"resourceClasses[b].resources.requests[memory]: Invalid value: \"-1\": want zero or more\n" +
				"resourceClasses[b].podResource.limits[nvidia.com/gpu]: Invalid value: \"nvidia.com/gpu\": a pod as a whole has cpu, memory and huge pages; move it to resources\n" +
				"resourceClasses[c].nodeSelector: Invalid value: \"not a label\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n" +
				"defaultResourceClassName: Unsupported value: \"tiny\": supported values: \"a\", \"b\", \"c\"\n",
		},
		"unknown keys of a class": {
			config: "resourceClasses: {a: {resource: {}}}\n",
			want:   "resourceClasses[a].resource: Forbidden: unknown field; did you mean \"resources\"?\n",
		},
		"a quantity": {
			config: "resourceClasses: {a: {resources: {requests: {cpu: much}}}}\n",
			want:   "resourceClasses[a].resources.requests[cpu]: Invalid value: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n",
		},
		"metadata": {
			config: "defaultMetadata: {labels: {buildkite.com/inject: 'true', team: a b}, annotations: {buildkite.com/injected: x, Bad Key: text}}\n",
			want: "defaultMetadata.labels: Invalid value: \"a b\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n" +
				"defaultMetadata.annotations: Invalid value: \"Bad Key\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n" +
				"defaultMetadata.labels[buildkite.com/inject]: Forbidden: names under buildkite.com/ are for who creates the pod; use this file's settings\n" +
				"defaultMetadata.annotations[buildkite.com/injected]: Forbidden: names under buildkite.com/ are for who creates the pod; use this file's settings\n",
		},
		"params": {
			config: "defaultCommandParams: {interposer: shell, extraVolumeMounts: [{name: a, mountPath: /buildkite/bin}]}\n",
			want: "defaultCommandParams.interposer: Unsupported value: \"shell\": supported values: \"vector\", \"buildkite\", \"legacy\"\n" +
				"defaultCommandParams.extraVolumeMounts[0].mountPath: Invalid value: \"/buildkite/bin\": /buildkite is reserved; mount the volume elsewhere\n",
		},
		"deadline": {
			config: "jobActiveDeadlineSeconds: -1\n",
			want:   "jobActiveDeadlineSeconds: Invalid value: -1: want a number of seconds from 1 to 2147483647, or 0 for no limit\n",
		},
		"hold": {
			config: "holdTimeoutSeconds: 0\n",
			want:   "holdTimeoutSeconds: Invalid value: 0: want a number of seconds from 1 to 2147483647\n",
		},
		"a patch that is none": {
			config: "podSpecPatch: [1]\n", want: "podSpecPatch: Invalid value: want an object, found a list\n",
		},
		"a patch": {
			config: "podSpecPatch:\n  restartPolicy: OnFailure\n  nodeSelectors: {}\n  volumes: [{name: buildkite-bin}]\n  containers:\n" +
				"  - {name: agent, image: other, env: [{name: HOME, value: /}, {name: BUILDKITE_CONTAINER_COUNT, value: '1'}, {name: FINE}], volumeMounts: [{name: v, mountPath: /buildkite/token}]}\n" +
				"  - {name: other, env: [{name: A}, {name: A}]}\n",
			want: "podSpecPatch.nodeSelectors: Forbidden: unknown field; did you mean \"nodeSelector\"?\n" +
				"podSpecPatch.containers[1].env[1].name: Duplicate value: \"A\"\n" +
				"podSpecPatch.restartPolicy: Invalid value: \"OnFailure\": a job runs once; remove the field\n" +
				"podSpecPatch.volumes[0].name: Invalid value: \"buildkite-bin\": names that begin with buildkite- are reserved for injected volumes; rename yours\n" +
				"podSpecPatch.containers[0].image: Forbidden: of an injected container a patch may change env, envFrom, resources, volumeMounts; remove the field\n",
		},
		"a patch of an injected container": {
			config: "podSpecPatch:\n  containers:\n" +
				"  - {name: agent, env: [{name: FINE}, {name: HOME, value: /}, {name: BUILDKITE_CONTAINER_COUNT, value: '1'}], volumeMounts: [{name: v, mountPath: /buildkite/token}]}\n",
			want: "podSpecPatch.containers[0].env[1].name: Invalid value: \"HOME\": set by the mutator; remove the variable\n" +
				"podSpecPatch.containers[0].env[2].name: Invalid value: \"BUILDKITE_CONTAINER_COUNT\": set by the mutator; remove the variable\n" +
				"podSpecPatch.containers[0].volumeMounts[0].mountPath: Invalid value: \"/buildkite/token\": /buildkite is reserved; mount the volume elsewhere\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := ParseConfig([]byte(minimalConfig + tc.config))
			if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestResourceClassOverNamespaceDefaults: what a LimitRange gives a container
// before any webhook is asked is no choice of its author.
func TestResourceClassOverNamespaceDefaults(t *testing.T) {
	config := parsedConfig(t, "resourceClasses: {large: {resources: {requests: {cpu: 4, memory: 8Gi}, limits: {memory: 8Gi}}}}\ndefaultResourceClassName: large\n")
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	for name, tc := range map[string]struct{ note, want string }{
		"all by the namespace": {
			note: "LimitRanger plugin set: cpu, memory request for container test; cpu, memory limit for container test; cpu request for container other",
			want: "limits: {memory: 8Gi}\nrequests: {cpu: '4', memory: 8Gi}\n",
		},
		"the memory's limit by the author": {
			note: "LimitRanger plugin set: cpu, memory request for container test; cpu limit for container test",
			want: "limits: {memory: 512Mi}\nrequests: {cpu: '4', memory: 256Mi}\n",
		},
		"all by the author": {
			note: "LimitRanger plugin set: cpu, memory request for init container test; cpu limit for container tests",
			want: "limits: {cpu: 500m, memory: 512Mi}\nrequests: {cpu: 100m, memory: 256Mi}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod, _ := injected(t, config, mergePod("", func(pod *corev1.Pod) {
				pod.Annotations[limitRangerAnnotation] = tc.note
				pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list("100m", "256Mi"), Limits: list("500m", "512Mi")}
			}))
			var want corev1.ResourceRequirements
			if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, pod.Spec.Containers[0].Resources); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPatchOfDerivedFields: the API server has filled in what follows from a
// name before the webhook is asked, and refuses it with another name.
func TestPatchOfDerivedFields(t *testing.T) {
	derived := func(pod *corev1.Pod) {
		pod.Spec.Priority, pod.Spec.PreemptionPolicy = new(int32(0)), new(corev1.PreemptLowerPriority)
		pod.Spec.RuntimeClassName, pod.Spec.Overhead = new("gvisor"), corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "default", "default"
	}
	config := parsedConfig(t, "policy: {runtimeClasses: {allow: ['*']}}\n")
	pod, _ := injected(t, config, mergePod("podSpecPatch: {priorityClassName: ci, runtimeClassName: kata, serviceAccountName: null}", derived))
	if pod.Spec.Priority != nil || pod.Spec.PreemptionPolicy != nil || pod.Spec.Overhead != nil || pod.Spec.DeprecatedServiceAccount != "" {
		t.Errorf("still has priority %v, preemption %v, overhead %v, account %q", pod.Spec.Priority, pod.Spec.PreemptionPolicy, pod.Spec.Overhead, pod.Spec.DeprecatedServiceAccount)
	}
	pod, _ = injected(t, config, mergePod("podSpecPatch: {hostname: other}", derived))
	if pod.Spec.Priority == nil || pod.Spec.PreemptionPolicy == nil || pod.Spec.Overhead == nil || pod.Spec.DeprecatedServiceAccount == "" {
		t.Error("a patch of something else removed a derived field")
	}
}

// TestSizesAfterMerging: the limits hold for what a patch brings.
func TestSizesAfterMerging(t *testing.T) {
	big := strings.Repeat("x", maxStringBytes)
	for name, tc := range map[string]struct{ plugin, want string }{
		"variable": {
			plugin: "podSpecPatch: {containers: [{name: test, env: [{name: BIG, value: " + big + "}]}]}",
			want:   "spec.containers[0].env[0].value: Invalid value: 131077 bytes; a program takes less than 131072 at once: put the text into a file, such as a ConfigMap's\n",
		},
		"command": {
			plugin: "podSpecPatch: {containers: [{name: test, command: [" + big + "]}]}",
			want:   "spec.containers[0].command[0]: Invalid value: 131073 bytes; a program takes less than 131072 at once: put the text into a file, such as a ConfigMap's\n",
		},
		"depth": {
			plugin: "podSpecPatch: {affinity: " + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "}",
			want:   "metadata.annotations[buildkite.com/plugin]: Invalid value: nested more than 64 levels deep\n",
		},
		"aliases": {
			plugin: "podSpecPatch: {hostname: &a " + big[:1000] + ", subdomain: *a}",
			want: "metadata.annotations[buildkite.com/plugin]: Invalid value: seems to repeat values with YAML's &anchors and *aliases, " +
				"with which a short text grows without limit; write them out, or write the annotation as JSON\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := parsedConfig(t, "").Mutate(mergePod(tc.plugin, nil))
			if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%.2000s", diff)
			}
		})
	}
}

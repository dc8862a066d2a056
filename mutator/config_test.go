package mutator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const minimalConfig = `
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: agent:1
entrypointImage: entrypoint:1
`

func TestParseConfigErrors(t *testing.T) {
	cases := map[string]struct {
		text string
		want string
	}{
		"empty": {
			text: "",
			want: "apiVersion: Unsupported value: \"\": supported values: \"buildkite.com/v1alpha1\"\n" +
				"kind: Unsupported value: \"\": supported values: \"MutatorConfiguration\"\n" +
				"agentImage: Required value: name an image\n" +
				"entrypointImage: Required value: name an image\n",
		},
		"not YAML": {
			text: "agentImage: [",
			want: "document: Invalid value: not valid YAML or JSON: yaml: line 1: did not find expected node content\n",
		},
		"a list": {
			text: "- agentImage",
			want: "document: Invalid value: want an object, found a list\n",
		},
		"unknown keys and wrong types": {
			text: minimalConfig + "agentImages: x\nAgentBinary: /x\ninjected: {resource: {}, runAsUser: root}\nknownSidecars: a\nworkspaceVolume: {emptyDirr: {}}\nunrelated: 1\n",
			want: "injected.runAsUser: Invalid value: want a whole number, found a string\n" +
				"knownSidecars: Invalid value: want a list, found a string\n" +
				"AgentBinary: Forbidden: unknown field; did you mean \"agentBinary\"?\n" +
				"agentImages: Forbidden: unknown field; did you mean \"agentImage\"?\n" +
				"injected.resource: Forbidden: unknown field; did you mean \"resources\"?\n" +
				"unrelated: Forbidden: unknown field; remove it\n" +
				"workspaceVolume.emptyDirr: Forbidden: unknown field; did you mean \"emptyDir\"?\n",
		},
		"a key twice": {
			text: minimalConfig + "agentImage: agent:2\n",
			want: "document: Invalid value: not valid YAML or JSON: yaml: unmarshal errors: line 6: key \"agentImage\" already set in map\n",
		},
		"values": {
			text: minimalConfig + "agentBinary: bin/agent\nagentTokenSecret: A_B\nagentImagePullPolicy: Sometimes\nunknownPluginFields: ignore\n" +
				"interposer: {handMade: shell}\ninjected: {runAsUser: 0}\n",
			want: "agentImagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"\n" +
				"agentTokenSecret: Invalid value: \"A_B\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n" +
				"agentBinary: Invalid value: \"bin/agent\": want an absolute path in the agent image\n" +
				"injected.runAsUser: Invalid value: 0: want a user ID other than root's, or null\n" +
				"interposer.handMade: Unsupported value: \"shell\": supported values: \"vector\", \"buildkite\", \"legacy\"\n" +
				"unknownPluginFields: Unsupported value: \"ignore\": supported values: \"error\", \"warn\"\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := ParseConfig([]byte(tc.text))
			if diff := cmp.Diff(tc.want, errorLines(errs)); diff != "" {
				t.Errorf("ParseConfig errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfigDefaults(t *testing.T) {
	config, errs := ParseConfig([]byte(minimalConfig))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var cpu, memory resource.Quantity
	resources := config.Injected.Resources
	for _, one := range []corev1.ResourceRequirements{resources.Agent, resources.Checkout, resources.Install} {
		if one.Requests.Cpu().IsZero() || one.Requests.Memory().IsZero() {
			t.Errorf("an injected container has no requests: %v", one)
		}
		cpu.Add(*one.Requests.Cpu())
		memory.Add(*one.Requests.Memory())
	}
	if most := resource.MustParse("50m"); cpu.Cmp(most) > 0 {
		t.Errorf("injected containers ask for %s CPU, want at most %s", &cpu, &most)
	}
	if most := resource.MustParse("128Mi"); memory.Cmp(most) > 0 {
		t.Errorf("injected containers ask for %s memory, want at most %s", &memory, &most)
	}
	if config.Injected.RunAsUser == nil || *config.Injected.RunAsUser != 65532 {
		t.Errorf("runAsUser = %v, want 65532", config.Injected.RunAsUser)
	}
	null, errs := ParseConfig([]byte(minimalConfig + "injected: {runAsUser: null}\n"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if null.Injected.RunAsUser != nil {
		t.Errorf("runAsUser: null gives %d, want none", *null.Injected.RunAsUser)
	}
	if config.Digest() == null.Digest() {
		t.Error("two configurations have one digest")
	}
}

func TestExampleConfigs(t *testing.T) {
	for _, file := range []string{"../manifests/base/mutator-config.yaml", "../manifests/examples/mutator-config.yaml"} {
		if _, errs := ParseConfig([]byte(readFile(t, file))); len(errs) > 0 {
			t.Errorf("%s: %v", file, errs.ToAggregate())
		}
	}
}

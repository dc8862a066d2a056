package mutator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAgentConfigErrors(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"values": {
			"agent: {traceContextEncoding: xml, tracingBackend: zipkin, experiments: ['a,b'], redactedVars: ['[', ''], verification: {failureBehavior: ignore}}",
			`agent.traceContextEncoding: Unsupported value: "xml": supported values: "gob", "json"
agent.tracingBackend: Unsupported value: "zipkin": supported values: "datadog", "opentelemetry"
agent.experiments[0]: Invalid value: "a,b": want one name, without commas; make others items of the list
agent.redactedVars[1]: Invalid value: "": want one name, without commas; make others items of the list
agent.redactedVars[0]: Invalid value: "[": not a pattern; close the bracket
agent.verification.failureBehavior: Unsupported value: "ignore": supported values: "block", "warn"
`,
		},
		"grace periods": {
			"agent: {cancelGracePeriod: 0, signalGracePeriod: -1}",
			`agent.cancelGracePeriod: Invalid value: 0: want a number of seconds, 1 or more
agent.signalGracePeriod: Invalid value: -1: want a number of seconds, 0 or more
`,
		},
		"more for the command than for the job": {
			"agent: {cancelGracePeriod: 10, signalGracePeriod: 11}",
			"agent.signalGracePeriod: Invalid value: 11: more than cancelGracePeriod; the command's time is a part of the job's\n",
		},
		"directories": {
			`agent:
  hooks: {path: hooks}
  additionalHooks:
  - {path: /buildkite/token/hooks, volume: {emptyDir: {}}}
  - {path: "/opt/a,b"}
  - {volume: {name: empty}}
  - {path: /workspace, volume: {emptyDir: {}, hostPath: {path: /}}}
  plugins: {path: /srv/, volume: {emptyDir: {}}}
  signing: {jwksFile: key.json}
  verification: {jwksFile: /opt/keys/key.json, volume: {secret: {secretName: a}}}
`,
			`agent.hooks.path: Invalid value: "hooks": want an absolute path, without a colon, ".." or a slash at its end
agent.plugins.path: Invalid value: "/srv/": want an absolute path, without a colon, ".." or a slash at its end
agent.signing.jwksFile: Invalid value: ".": want an absolute path, without a colon, ".." or a slash at its end
agent.additionalHooks[0].path: Invalid value: "/buildkite/token/hooks": /buildkite/token is for an injected volume; want a directory of its own
agent.additionalHooks[1].path: Invalid value: "/opt/a,b": the agent takes no commas here
agent.additionalHooks[2].volume: Required value: give the volume a source, such as configMap
agent.additionalHooks[3].volume: Invalid value: a volume has one source; remove the others
agent.additionalHooks[3].path: Invalid value: "/workspace": something else is mounted here; want a directory of its own
`,
		},
		"two at one place": {
			"agent: {hooks: {path: /opt/x, volume: {emptyDir: {}}}, plugins: {path: /opt/x, volume: {emptyDir: {}}}}",
			"agent.plugins.path: Duplicate value: \"/opt/x\"\n",
		},
		"variables": {
			`agent:
  env:
    BUILDKITE_AGENT_TOKEN: t
    BUILDKITE_AGENT_DEBUG_HTTP: "true"
    BUILDKITE_AGENT_ENDPOINT: https://x
    BUILDKITE_AGENT_SPAWN: "2"
    BUILDKITE_GIT_MIRRORS_PATH: /m
    BUILDKITE_K8S_NODE: node
    BUILDKITE_NO_PTY: "true"
    "A=B": c
    HOME: /root
`,
			`agent.env[A=B]: Invalid value: "A=B": a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')
agent.env[BUILDKITE_AGENT_DEBUG_HTTP]: Forbidden: the agent would write its token into the container's log; remove the variable
agent.env[BUILDKITE_AGENT_ENDPOINT]: Forbidden: set agentEndpoint instead
agent.env[BUILDKITE_AGENT_SPAWN]: Forbidden: a pod has one agent; remove the variable
agent.env[BUILDKITE_AGENT_TOKEN]: Forbidden: the mutator sets this one; remove the variable
agent.env[BUILDKITE_GIT_MIRRORS_PATH]: Forbidden: set gitMirrors in defaultCheckoutParams instead
agent.env[BUILDKITE_K8S_NODE]: Forbidden: the mutator sets this one; remove the variable
agent.env[BUILDKITE_NO_PTY]: Forbidden: set agent.noPTY instead
agent.env[HOME]: Forbidden: the mutator sets this one; remove the variable
`,
		},
		"unknown": {
			"agent: {env: {NUMBER: 1}, noPty: true, hooks: {volumes: {}}, acquireJob: x}\nproxy: {http: x}\ncaBundle: {name: x}\nssh: {shareKey: true}",
			"agent.env[NUMBER]: Invalid value: want a string (put it in quotes), found a number\n" +
				"agent.acquireJob: Forbidden: unknown field; remove it\n" +
				"agent.hooks.volumes: Forbidden: unknown field; did you mean \"volume\"?\n" +
				"agent.noPty: Forbidden: unknown field; did you mean \"noPTY\"?\n" +
				"caBundle.name: Forbidden: unknown field; the fields here are configMap, jobContainers, key\n" +
				"proxy.http: Forbidden: unknown field; the fields here are httpProxy, httpsProxy, noProxy\n" +
				"ssh.shareKey: Forbidden: unknown field; did you mean \"shareKeys\"?\n",
		},
		"network": {
			"proxy: {httpProxy: 'proxy:3128', httpsProxy: 'ftp://user:secret@x'}\ncaBundle: {configMap: A_B, key: a/b}",
			"proxy.httpProxy: Invalid value: want a URL such as http://proxy.example.com:3128\n" +
				"proxy.httpsProxy: Invalid value: want a URL such as http://proxy.example.com:3128\n" +
				"caBundle.configMap: Invalid value: \"A_B\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n" +
				"caBundle.key: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')\n",
		},
		"no ConfigMap": {"caBundle: {}", "caBundle.configMap: Required value: name the ConfigMap with the bundle\n"},
		"checkout": {
			"defaultCheckoutParams: {gitMirrors: {path: m}, gitCredentialsSecret: A_}",
			"defaultCheckoutParams.gitMirrors.volume: Required value: give the volume that the mirrors are in; one that ends with the pod would mirror nothing\n" +
				"defaultCheckoutParams.gitMirrors.path: Invalid value: \"m\": want an absolute path, without a colon, \"..\" or a slash at its end\n" +
				"defaultCheckoutParams.gitCredentialsSecret.secretName: Invalid value: \"A_\"",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := ParseConfig([]byte(minimalConfig + tc.text))
			got := errorLines(errs)
			if name == "checkout" {
				// The rest is a long sentence of Kubernetes' own.
				got = got[:min(len(got), len(tc.want))]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ParseConfig errors (-want +got):\n%s", diff)
			}
			if strings.Contains(got, "user:secret") {
				t.Error("an error shows a password")
			}
		})
	}
}

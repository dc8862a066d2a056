package chart

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const directory = "../../charts/agent-stack-k8s"

var certManager = []string{"cert-manager.io/v1"}

// object is one of the rendered objects.
type object struct {
	*unstructured.Unstructured
}

// objects decodes what was rendered, strictly, as the API server would with
// field validation.
func objects(t *testing.T, rendered map[string]string) map[string]object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, certmanagerv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]object{}
	for _, path := range slices.Sorted(maps.Keys(rendered)) {
		if !strings.HasSuffix(path, ".yaml") {
			continue
		}
		for document := range strings.SplitSeq("\n"+rendered[path], "\n---") {
			var one unstructured.Unstructured
			if err := yaml.UnmarshalStrict([]byte(document), &one.Object); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, document)
			}
			if len(one.Object) == 0 {
				continue
			}
			kind := one.GroupVersionKind()
			if typed, err := scheme.New(kind); err == nil {
				if err := yaml.UnmarshalStrict([]byte(document), typed); err != nil {
					t.Errorf("%s: %s: %v", path, one.GetKind(), err)
				}
			} else if kind.Group != "monitoring.coreos.com" {
				t.Errorf("%s: %v", path, err)
			}
			name := one.GetKind() + "/" + one.GetNamespace() + "/" + one.GetName()
			if _, twice := all[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			all[name] = object{&one}
		}
	}
	return all
}

// settings reads values as a person writes them.
func settings(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

const required = "config: {org: acme}\nagentToken: agent-token\ngraphqlToken: graphql-token\n"

func TestGolden(t *testing.T) {
	everything, err := os.ReadFile("testdata/everything.values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]Options{
		"default":    {Values: settings(t, required), Kubernetes: "v1.37.0", APIVersions: certManager},
		"everything": {Values: settings(t, string(everything)), Release: "ci", Namespace: "ci-system", Kubernetes: "v1.30.0", APIVersions: certManager},
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			rendered, err := Render(directory, options)
			if err != nil {
				t.Fatal(err)
			}
			objects(t, rendered)
			var text strings.Builder
			for _, path := range slices.Sorted(maps.Keys(rendered)) {
				if strings.TrimSpace(rendered[path]) != "" {
					text.WriteString("--- " + filepath.Base(path) + "\n" + strings.TrimSpace(rendered[path]) + "\n")
				}
			}
			golden := filepath.Join("testdata", name+".out.yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(text.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.String()); diff != "" {
				t.Errorf("go test ./chart -update rewrites %s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	cases := map[string]struct {
		options Options
		// has and lacks are objects, as KIND/NAMESPACE/NAME.
		has, lacks []string
		// text is in what is rendered, and not are not.
		text, not []string
	}{
		"old Kubernetes takes an init container": {
			options: Options{Values: settings(t, required), Kubernetes: "v1.30.0", APIVersions: certManager},
			text:    []string{"delivery: init-container"},
		},
		"new Kubernetes takes image volumes": {
			options: Options{Values: settings(t, required), Kubernetes: "v1.36.1", APIVersions: certManager},
			text:    []string{"delivery: image-volume"},
		},
		"the authority is cainjector's to fill in": {
			options: Options{Values: settings(t, required), APIVersions: certManager},
			has:     []string{"Certificate/buildkite/agent-stack-k8s-mutator-ca", "Issuer/buildkite/agent-stack-k8s-mutator-self-signed"},
			text:    []string{"cert-manager.io/inject-ca-from: buildkite/agent-stack-k8s-mutator", "rotationPolicy: Never", "duration: 87600h"},
			not:     []string{"caBundle:"},
		},
		"an issuer of their own": {
			options: Options{Values: settings(t, required+"certManager: {issuerRef: {name: company, kind: ClusterIssuer, group: cert-manager.io}}"), APIVersions: certManager},
			has:     []string{"Certificate/buildkite/agent-stack-k8s-mutator"},
			lacks:   []string{"Certificate/buildkite/agent-stack-k8s-mutator-ca"},
			text:    []string{"kind: ClusterIssuer"},
		},
		"a certificate of their own": {
			options: Options{Values: settings(t, required+"certManager: {enabled: false}\ntls: {existingSecret: mine, caBundle: '-----BEGIN CERTIFICATE-----'}")},
			lacks:   []string{"Certificate/buildkite/agent-stack-k8s-mutator"},
			text:    []string{"caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", "secretName: mine"},
			not:     []string{"cert-manager.io"},
		},
		"a second installation": {
			options: Options{Release: "canary", Values: settings(t, required+"mutator: {name: canary}\njobNamespace: {name: canary-jobs}"), APIVersions: certManager},
			has:     []string{"MutatingWebhookConfiguration//00-buildkite-canary-agent-stack-k8s-mutator", "Namespace//canary-jobs", "ValidatingAdmissionPolicy//buildkite-canary-agent-stack-k8s-injected"},
			text:    []string{`buildkite.com/mutator: "canary"`, "mutator: canary", "controller-id: buildkite.canary-agent-stack-k8s"},
			not:     []string{"operator: DoesNotExist"},
		},
		"a Secret of their own": {
			options: Options{Values: settings(t, "config: {org: acme}\nagentStackSecret: tokens"), APIVersions: certManager},
			lacks:   []string{"Secret/buildkite/agent-stack-k8s-secrets", "Secret/buildkite-jobs/buildkite-agent-token"},
			text:    []string{"secretName: tokens", "create secret generic buildkite-agent-token"},
		},
		"further namespaces": {
			options: Options{Values: settings(t, required+"furtherJobNamespaces: [{name: large, create: true, podSecurity: restricted}, {name: theirs, agentToken: other}]"), APIVersions: certManager},
			has:     []string{"Namespace//large", "Role/large/agent-stack-k8s-dispatcher", "RoleBinding/theirs/agent-stack-k8s-dispatcher", "Secret/theirs/buildkite-agent-token"},
			lacks:   []string{"Namespace//theirs"},
			text:    []string{"kubectl label namespace theirs buildkite.com/jobs=enabled", "podSecurity: restricted"},
		},
		"the release's own namespace, on demand": {
			options: Options{Values: settings(t, required+"allowSharedNamespace: true\njobNamespace: {name: buildkite, create: false}"), APIVersions: certManager},
			has:     []string{"Role/buildkite/agent-stack-k8s-dispatcher", "Role/buildkite/agent-stack-k8s-dispatcher-jobs"},
			lacks:   []string{"Namespace//buildkite"},
		},
		"a name that YAML takes for something else": {
			options: Options{Values: settings(t, required+"mutator: {name: 'on'}"), APIVersions: certManager},
			text:    []string{`buildkite.com/mutator: "on"`, `mutator: "on"`},
		},
		"a pod outlasts its drain": {
			options: Options{Values: settings(t, required+"mutator: {drainDelay: 1m30.5s}"), APIVersions: certManager},
			text:    []string{"terminationGracePeriodSeconds: 111", "--drain-delay=1m30.5s"},
		},
		"a pod outlasts the standard drain": {
			options: Options{Values: settings(t, required), APIVersions: certManager},
			text:    []string{"terminationGracePeriodSeconds: 30", "--drain-delay=10s"},
		},
		"a long name": {
			options: Options{Release: strings.Repeat("r", 38), Namespace: strings.Repeat("n", 53), Values: settings(t, required+"jobNamespace: {name: jobs}"), APIVersions: certManager},
			text:    []string{"controller-id: " + strings.Repeat("n", 53) + "-"},
		},
		"the queue of the tags": {
			options: Options{Values: settings(t, "config: {org: acme, tags: 'os=linux,queue=gpu'}\nagentToken: a\ngraphqlToken: b"), APIVersions: certManager},
			text:    []string{"agents: {queue: gpu}"},
		},
		"one registry for all images": {
			options: Options{Values: settings(t, required+"image: {registry: mirror.example.com, tag: v1}\nmutator: {image: {digest: 'sha256:"+strings.Repeat("0", 64)+"'}}"), APIVersions: certManager},
			text: []string{
				"mirror.example.com/buildkite/agent:3.138.1", "mirror.example.com/buildkite/agent-stack-k8s/entrypoint:v1",
				"mirror.example.com/buildkite/agent-stack-k8s/dispatcher:v1", "mirror.example.com/buildkite/agent-stack-k8s/mutator@sha256:000",
			},
			not: []string{"ghcr.io"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rendered, err := Render(directory, tc.options)
			if err != nil {
				t.Fatal(err)
			}
			all := objects(t, rendered)
			for _, name := range tc.has {
				if _, found := all[name]; !found {
					t.Errorf("%s is missing; there are %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
				}
			}
			for _, name := range tc.lacks {
				if _, found := all[name]; found {
					t.Errorf("%s is there", name)
				}
			}
			text := strings.Join(slices.Collect(maps.Values(rendered)), "\n")
			for _, want := range tc.text {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for _, unwanted := range tc.not {
				if strings.Contains(text, unwanted) {
					t.Errorf("%q is there", unwanted)
				}
			}
		})
	}
}

// What is wrong is said with its path, or with what to do.
func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		options Options
		want    []string
	}{
		"no organization":      {Options{Values: settings(t, "agentToken: a\ngraphqlToken: b"), APIVersions: certManager}, []string{"config.org is not set", "--set config.org="}},
		"no API token":         {Options{Values: settings(t, "config: {org: a}\nagentToken: a"), APIVersions: certManager}, []string{"graphqlToken is not set", "Enable GraphQL API Access", "write_builds"}},
		"no agent token":       {Options{Values: settings(t, "config: {org: a}\ngraphqlToken: a"), APIVersions: certManager}, []string{"agentToken is not set", "Agent Tokens"}},
		"misspelt":             {Options{Values: settings(t, required+"webhook: {failurePolcy: Fail}")}, []string{"/webhook", "failurePolcy"}},
		"misspelt option":      {Options{Values: settings(t, "config: {org: a, max-in-fligt: 3}")}, []string{"/config", "max-in-fligt"}},
		"misspelt in a queue":  {Options{Values: settings(t, "config: {org: a, queues: [{queu: a}]}")}, []string{"/config/queues/0", "queu"}},
		"misspelt policy":      {Options{Values: settings(t, "config: {org: a, policy: {hostpath: {}}}")}, []string{"/config/policy", "hostpath"}},
		"wrong type":           {Options{Values: settings(t, "config: {org: a, max-in-flight: many}")}, []string{"/config/max-in-flight"}},
		"wrong duration":       {Options{Values: settings(t, "config: {org: a, job-ttl: ten}")}, []string{"/config/job-ttl"}},
		"a token in config":    {Options{Values: settings(t, "config: {org: a, buildkite-token: b}")}, []string{"/config", "buildkite-token"}},
		"no cert-manager":      {Options{Values: settings(t, required)}, []string{"this cluster has no cert-manager", "certManager.enabled=false", "--api-versions"}},
		"no certificate":       {Options{Values: settings(t, required+"certManager: {enabled: false}")}, []string{"tls.existingSecret", "agent-stack-k8s-mutator.buildkite.svc"}},
		"a shared namespace":   {Options{Values: settings(t, required+"jobNamespace: {name: buildkite}"), APIVersions: certManager}, []string{"allowSharedNamespace=true"}},
		"a queue with no role": {Options{Values: settings(t, "config: {org: a, queues: [{queue: a, namespace: elsewhere}]}\nagentToken: a\ngraphqlToken: b"), APIVersions: certManager}, []string{"config.queues[0].namespace", "furtherJobNamespaces"}},
		"a port that is taken": {Options{Values: settings(t, required+"webhook: {port: 8081}"), APIVersions: certManager}, []string{"webhook.port", "8081", "another port"}},
		"two namespaces":       {Options{Values: settings(t, "config: {org: a, namespace: one}\njobNamespace: {name: two}\nagentToken: a\ngraphqlToken: b"), APIVersions: certManager}, []string{"config.namespace is one", "jobNamespace.name is two"}},
		"a long namespace":     {Options{Namespace: strings.Repeat("n", 59), Values: settings(t, required), APIVersions: certManager}, []string{"63 characters", "jobNamespace.name"}},
		"old Kubernetes":       {Options{Values: settings(t, required), Kubernetes: "v1.29.9"}, []string{">=1.30.0"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Render(directory, tc.options)
			if err == nil {
				t.Fatal("it is rendered")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
		})
	}
}

// A label takes 63 characters, and ends with one that is a letter or a digit;
// releases with names that begin alike have each their own.
func TestControllerIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, release := range []string{"a", "agent-stack-k8s", strings.Repeat("r", 38), strings.Repeat("r", 39)} {
		for _, namespace := range []string{"b", strings.Repeat("n", 51) + "-nnn", strings.Repeat("n", 52) + "-nnn", strings.Repeat("n", 53) + "-nnn", strings.Repeat("n", 63)} {
			rendered, err := Render(directory, Options{Release: release, Namespace: namespace, Values: settings(t, required+"jobNamespace: {name: jobs}"), APIVersions: certManager})
			if err != nil {
				t.Fatal(err)
			}
			id, _ := read(t, rendered).dispatcher["controller-id"].(string)
			if problems := validation.IsValidLabelValue(id); len(problems) > 0 || id == "" || seen[id] {
				t.Errorf("%s in %s: %q: seen %t, %s", release, namespace, id, seen[id], problems)
			}
			seen[id] = true
		}
	}
}

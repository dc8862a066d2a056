package endtoend

import (
	"context"
	"strings"
	"testing"
)

const (
	// restrictedNamespace enforces the standard: authors write what it asks for.
	restrictedNamespace = "buildkite-restricted"
	// filledNamespace enforces it too, and the mutator writes it.
	filledNamespace = "buildkite-filled"
)

// mutatorSettings are the settings of the mutator in all tests, beside those of
// every installation.
var mutatorSettings = map[string]any{
	// The agent's own 6 attempts at a checkout that fails take half a minute.
	"agent":           map[string]any{"env": map[string]any{"BUILDKITE_CHECKOUT_ATTEMPTS": "2"}},
	"resourceClasses": resourceClasses,
	"namespaces": map[string]any{
		filledNamespace: map[string]any{"podSecurity": "restricted"},
		openNamespace: map[string]any{"policy": map[string]any{
			"agentImages":       map[string]any{"allow": []string{"*"}},
			"agentTokenSecrets": map[string]any{"allow": []string{"*"}},
		}},
	},
}

const enforceRestricted = "pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/enforce-version: latest"

// wholeJob checks out, runs a command, writes into the checkout and uploads.
const wholeJob = `
                command:
                  - |
                    echo "runs as $(id -u) in $(pwd)"
                    cat README.md
                    echo "from $(id -u)" > whole.txt
    artifact_paths: whole.txt
`

// hasArtifact checks that the build has the artifact with just that content.
func (b *build) hasArtifact(t *testing.T, path, content string) {
	t.Helper()
	artifacts, err := client.Artifacts(t.Context(), b.uuid, "")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, each := range artifacts {
		paths = append(paths, each.Path)
		if each.Path != path {
			continue
		}
		got, err := client.DownloadArtifact(t.Context(), each.UUID)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != content {
			t.Errorf("artifact %s holds %q, want %q", path, got, content)
		}
		return
	}
	t.Errorf("the build has no artifact %s, only %q", path, paths)
}

func TestRestrictedNamespace(t *testing.T) {
	t.Parallel()
	jobsNamespace(t, restrictedNamespace, enforceRestricted)
	for name, tc := range map[string]struct{ user, image, want string }{
		"RunAsUser":        {user: "runAsUser: 3000, ", image: "@SHELL@", want: "3000"},
		"OnlyRunAsNonRoot": {image: "@GIT@", want: "1000"}, // the image's own
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, `
steps:
  - label: whole
    agents: {queue: `+restrictedNamespace+`}
    plugins:
      - kubernetes:
          podSpec:
            securityContext: {`+tc.user+`runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
            containers:
              - image: `+tc.image+`
                securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}`+wholeJob)
			b.passes(t)
			b.job(t, "whole").logs(t, "runs as "+tc.want+" in /workspace/build/buildkite", "# sample")
			b.hasArtifact(t, "whole.txt", "from "+tc.want+"\n")
		})
	}
	// Without the standard's fields nothing runs, and the author hears it.
	t.Run("Neither", func(t *testing.T) {
		b := start(t, `
steps:
  - label: whole
    agents: {queue: `+restrictedNamespace+`}
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @SHELL@`+wholeJob)
		b.fails(t)
		b.job(t, "whole").logs(t, "PodSecurity", "restricted", "runAsNonRoot")
	})
}

func TestRestrictedNamespaceWithAHelpfulMutator(t *testing.T) {
	t.Parallel()
	jobsNamespace(t, filledNamespace, enforceRestricted)
	b := start(t, `
steps:
  - label: plugin
    agents: {queue: `+filledNamespace+`}
    plugins:
      - kubernetes:
          sidecars:
            - image: @NOSHELL@
              command: [/hello, --listen=:8080]
          podSpec:
            containers:
              - image: @SHELL@`+wholeJob+`
  - label: plain
    agents: {queue: `+filledNamespace+`}
    command: echo "runs as $(id -u)"; git status
`)
	b.passes(t)
	b.job(t, "plugin").logs(t, "runs as 65532 in /workspace/build/buildkite", "# sample")
	b.job(t, "plain").logs(t, "runs as 65532", "nothing to commit")
	b.hasArtifact(t, "whole.txt", "from 65532\n")
}

// User namespaces need a runtime that has them: Debian's runc gained them with
// version 1.2. Either answer is a good one, as long as the job is not lost.
func TestUserNamespace(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: mapped
    command: echo never by itself
    agents: {queue: manual}
`)
	j := b.job(t, "mapped")
	pod := apply(t, handMadePod(podOptions{job: j.uuid, image: "@SHELL@", command: `echo "as $(id -u), mapped from $(awk '{print $2}' /proc/self/uid_map)"`, spec: "hostUsers: false"}))
	if users := kubectl(t, "get", "pod", pod, "-o", "jsonpath={.spec.hostUsers}"); users != "false" {
		t.Fatalf("the pod has hostUsers %q, want false", users)
	}
	var refusal string
	eventually(t, "the runtime to run the pod or refuse it", func(ctx context.Context) (bool, error) {
		events, err := kube.Run(ctx, "-n", jobNamespace, "get", "events", "--field-selector=involvedObject.name="+pod+",reason=FailedCreatePodSandBox", "-o", "jsonpath={.items[0].message}")
		refusal = events
		if refusal != "" || err != nil {
			return refusal != "", err
		}
		current, err := client.Job(ctx, j.uuid)
		return string(current.State) == "passed", err
	})
	if refusal == "" {
		j.logs(t, "as 0, mapped from ")
		if strings.Contains(j.log(t), "mapped from 0") {
			t.Error("the pod has the users of the node")
		}
		return
	}
	t.Logf("no user namespaces on this node: %s", refusal)
	if !strings.Contains(refusal, "user namespace") && !strings.Contains(refusal, "userns") {
		t.Errorf("the runtime refuses the pod for another reason: %s", refusal)
	}
	kubectl(t, "delete", "pod", pod)
	if state := j.state(t); state != "scheduled" {
		t.Errorf("the job is %s after its pod could not start, want scheduled", state)
	}
	// Another pod takes it.
	apply(t, handMadePod(podOptions{job: j.uuid, image: "@SHELL@", command: "echo at last"}))
	b.passes(t)
	j.logs(t, "at last")
}

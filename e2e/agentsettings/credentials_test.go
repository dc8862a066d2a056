package agentsettings

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestGitCredentials lets git read the credentials as it does in checkout, and
// then tells it that they were right, and that they were wrong: it writes
// neither down, where the Secret would be of one owner and the file of another.
func TestGitCredentials(t *testing.T) {
	const stored = "https://me:it%27s%20secret@git.example.com\n"
	directory := t.TempDir()
	file := filepath.Join(directory, filepath.Base(contract.GitCredentialsFile))
	if err := os.WriteFile(file, []byte(stored), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := append(gitEnvironment(t, directory), "HOME="+directory, "PATH="+os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
	git := func(input, command string) string {
		t.Helper()
		git := exec.CommandContext(t.Context(), "git", "credential", command)
		git.Env, git.Dir, git.Stdin = environment, directory, strings.NewReader(input)
		output, err := git.CombinedOutput()
		if err != nil {
			t.Fatalf("git credential %s: %v: %s", command, err, output)
		}
		return string(output)
	}

	const question = "protocol=https\nhost=git.example.com\n\n"
	answer := git(question, "fill")
	if !strings.Contains(answer, "username=me\npassword=it's secret\n") {
		t.Errorf("git has the credentials %q", answer)
	}
	git("protocol=https\nhost=other.example.com\nusername=a\npassword=b\n\n", "approve")
	git("protocol=https\nhost=git.example.com\nusername=me\npassword=it's secret\n\n", "reject")
	got, err := os.ReadFile(file)
	if err != nil || string(got) != stored {
		t.Errorf("the file is %q (%v), want it as it was", got, err)
	}
}

// gitEnvironment are the variables of checkout for git, with a directory in
// place of the volume's.
func gitEnvironment(t *testing.T, directory string) []string {
	t.Helper()
	config, errs := mutator.ParseConfig([]byte(minimal + "defaultCheckoutParams: {gitCredentialsSecret: a}\n"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var environment []string
	for _, variable := range containerOf(t, config, "", contract.CheckoutContainer).Env {
		if strings.HasPrefix(variable.Name, "GIT_") {
			// As Kubernetes does with a dollar that begins no variable.
			value := strings.ReplaceAll(variable.Value, "$$", "$")
			environment = append(environment, variable.Name+"="+strings.ReplaceAll(value, contract.GitCredentialsPath, directory))
		}
	}
	if len(environment) == 0 {
		t.Fatal("git has no variables in checkout")
	}
	return environment
}

// containerOf is a container of an injected pod.
func containerOf(t *testing.T, config mutator.Config, uuid, name string) corev1.Container {
	t.Helper()
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "job", Image: "image"}},
	}}
	pod.Labels = map[string]string{contract.InjectLabel: contract.InjectEnabled, contract.TagLabelPrefix + "queue": "a"}
	if uuid != "" {
		pod.Labels[contract.JobUUIDLabel] = uuid
	}
	if _, errs := config.Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for _, container := range pod.Spec.Containers {
		if container.Name == name {
			return container
		}
	}
	t.Fatalf("the pod has no container %s", name)
	return corev1.Container{}
}

package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSSHScript(t *testing.T) {
	directory := t.TempDir()
	script := filepath.Join(directory, "ssh-env-config.sh")
	at := slices.IndexFunc(agentFiles, func(f file) bool { return f.name == "usr/local/bin/ssh-env-config.sh" })
	if err := os.WriteFile(script, agentFiles[at].content, 0o700); err != nil {
		t.Fatal(err)
	}
	hosts := filepath.Join(directory, "hosts")
	if err := os.WriteFile(hosts, []byte("a.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"nothing": {want: "none\n"},
		"each kind": {
			env:  []string{"SSH_PRIVATE_RSA_KEY=key", "SSH_CONFIG_B64=Y29uZmln", "SSH_KNOWN_HOSTS_PATH=" + hosts},
			want: "config 600 config\nid_rsa 600 key\nknown_hosts 600 a.example\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), script, "bash", "-c",
				`cd ~/.ssh 2>/dev/null || { echo none; exit; }; for f in *; do echo "$f $(stat -c %a "$f") $(cat "$f")"; done; echo -n "$SSH_PRIVATE_RSA_KEY$SSH_CONFIG_B64"`)
			command.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, test.env...)
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			if diff := cmp.Diff(test.want, string(output)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

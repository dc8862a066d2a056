package endtoend

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// sshServer is OpenSSH's server in a pod that serves the sample repository to
// whoever has one of its keys.
type sshServer struct {
	pod, host string
}

const (
	sshPort   = "2222"
	sshRepo   = "/srv/sample.git"
	sshScript = `
set -eu
mkdir -p /run/sshd /keys /home/git/.ssh
ssh-keygen -q -t ed25519 -N '' -f /keys/host
ssh-keygen -q -t rsa -N '' -f /keys/client
cp /keys/client /keys/locked
ssh-keygen -q -p -N 'a passphrase' -f /keys/locked
cp /keys/client /keys/general
ssh-keygen -q -p -N '' -m PKCS8 -f /keys/general
cat /keys/client.pub > /home/git/.ssh/authorized_keys
git clone --quiet --bare ` + simulatorURL + `/git/sample.git ` + sshRepo + `
git -C ` + sshRepo + ` config uploadpack.allowAnySHA1InWant true
chown -R git /home/git ` + sshRepo + `
exec /usr/sbin/sshd -D -e -f /dev/null -p ` + sshPort + ` -h /keys/host -o UsePAM=no -o PasswordAuthentication=no
`
)

var startSSHServer = sync.OnceValues(func() (*sshServer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	manifest := fmt.Sprintf(withImages(`
apiVersion: v1
kind: Pod
metadata: {name: git-server}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: sshd
      image: "@GIT@"
      command: [/bin/sh, -c, %q]
      securityContext: {runAsUser: 0}
      readinessProbe: {tcpSocket: {port: `+sshPort+`}, periodSeconds: 1}
`), sshScript)
	if _, err := kube.RunInput(ctx, manifest, "-n", jobNamespace, "create", "-f", "-"); err != nil {
		return nil, err
	}
	if _, err := kube.Run(ctx, "-n", jobNamespace, "wait", "--for=condition=Ready", "pod/git-server", "--timeout="+patience.String()); err != nil {
		log, _ := kube.Run(ctx, "-n", jobNamespace, "logs", "git-server")
		return nil, fmt.Errorf("start the SSH server: %w\n%s", err, log)
	}
	host, err := kube.Run(ctx, "-n", jobNamespace, "get", "pod", "git-server", "-o", "jsonpath={.status.podIP}")
	return &sshServer{pod: "git-server", host: host}, err
})

// gitServer starts the server before the first test that needs it; it goes with
// its namespace.
func gitServer(t *testing.T) *sshServer {
	t.Helper()
	server, err := startSSHServer()
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func (s *sshServer) url() string { return "ssh://git@" + s.host + ":" + sshPort + sshRepo }

// key returns a file that ssh-keygen made on the server: client and host, each
// also with .pub, and the former with a passphrase (locked) and in PKCS#8 form
// (general).
func (s *sshServer) key(t *testing.T, name string) string {
	t.Helper()
	return kubectl(t, "exec", s.pod, "--", "cat", "/keys/"+name)
}

// createSecret makes a Secret the way the documentation tells people to, with
// kubectl and files, and returns its name.
func createSecret(t *testing.T, prefix string, files map[string]string) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano())
	arguments := []string{"create", "secret", "generic", name}
	directory := t.TempDir()
	for key, content := range files {
		file := filepath.Join(directory, strings.Trim(key, "."))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--from-file="+key+"="+file)
	}
	kubectl(t, arguments...)
	t.Cleanup(func() { _, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "secret", name) })
	return name
}

// pattern is a regular expression that finds the secret text wherever it is, and
// not itself: it may stand in a job's command.
func pattern(t *testing.T, secret string) string {
	t.Helper()
	for field := range strings.FieldsFuncSeq(secret, func(r rune) bool { return !strings.ContainsRune(alphanumeric, r) }) {
		if len(field) >= 16 && !strings.Contains(field, "OPENSSH") && !strings.HasPrefix(field, "b3BlbnNzaC1rZXk") {
			return "[" + field[:1] + "]" + field[1:16]
		}
	}
	t.Fatal("the secret has no long enough word to look for")
	return ""
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// searchScript prints where a secret is to be seen in the container it runs in,
// as root: in what the pod's containers share, which is all that is mounted, and
// in the environment.
func searchScript(t *testing.T, secret string) string {
	t.Helper()
	return fmt.Sprintf(`
while read -r _ place _; do
  case $place in /|/proc|/proc/*|/sys|/sys/*|/dev|/dev/*) ;; *) grep -rls --devices=skip '%[1]s' "$place" || true ;; esac
done < /proc/mounts | sort -u | sed 's/^/found in file /'
env | grep -c '%[1]s' | sed 's/^/variables with it: /' || true
echo "search is over"
`, pattern(t, secret))
}

// indented shifts a script to where it stands in a pipeline, under a container's
// command.
func indented(script string) string {
	prefix := strings.Repeat(" ", 20)
	return prefix + strings.ReplaceAll(strings.TrimSpace(script), "\n", "\n"+prefix)
}

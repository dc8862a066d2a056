package endtoend

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	gitserver "github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
)

const (
	privateUser     = "robot"
	privatePassword = "PasswordOfTheTests0123456789"
)

// privateRepository is served over HTTPS by git's own http-backend, to those
// with the password.
type privateRepository struct {
	address, authority string
}

func (r privateRepository) url() string { return "https://" + r.address + "/git/private.git" }

// credentials is the file's line for them.
func (r privateRepository) credentials(password string) string {
	return "https://" + privateUser + ":" + password + "@" + r.address + "\n"
}

func servePrivateRepository(t *testing.T) privateRepository {
	t.Helper()
	repositories, err := gitserver.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repositories.Commit(t.Context(), "private", "", map[string]gitserver.File{"README.md": {Content: "# private\n"}}); err != nil {
		t.Fatal(err)
	}
	chain, key, authority := nodeCertificate(t)
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(nodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           gitserver.Protect(repositories, privateUser, privatePassword),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return privateRepository{address: listener.Addr().String(), authority: string(authority)}
}

// nodeCertificate returns a certificate for the node's address, its key, and the
// authority that signed it.
func nodeCertificate(t *testing.T) (chain, key, authority []byte) {
	t.Helper()
	chain, key, err := cert.GenerateSelfSignedCertKey(nodeIP, []net.IP{net.ParseIP(nodeIP)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The chain is the leaf followed by the authority that signed it.
	_, authority = pem.Decode(chain)
	return chain, key, authority
}

// createConfigMap makes one from files and returns its name.
func createConfigMap(t *testing.T, name, key, content string) string {
	t.Helper()
	kubectl(t, "create", "configmap", name, "--from-literal="+key+"="+content)
	t.Cleanup(func() { _, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "configmap", name) })
	return name
}

// privatePipeline clones with a Secret of credentials and then runs a script as
// root in another container.
func privatePipeline(authority, credentials, script string) string {
	return `
env:
  GIT_SSL_CAINFO: /authority/ca.crt
steps:
  - label: private
    plugins:
      - kubernetes:
          checkout:
            gitCredentialsSecret: {secretName: ` + credentials + `}
            cloneFlags: -v
          extraVolumeMounts:
            - {name: authority, mountPath: /authority}
          podSpec:
            volumes:
              - {name: authority, configMap: {name: ` + authority + `}}
            containers:
              - image: @GIT@
                securityContext: {runAsUser: 0}
                command:
                  - |
` + indented(script)
}

func TestGitCredentialsOverHTTPS(t *testing.T) {
	t.Parallel()
	private := servePrivateRepository(t)
	authority := createConfigMap(t, "git-authority", "ca.crt", private.authority)

	t.Run("RightPassword", func(t *testing.T) {
		credentials := createSecret(t, "git", map[string]string{".git-credentials": private.credentials(privatePassword)})
		b := startWith(t, buildOptions{repository: private.url()}, privatePipeline(authority, credentials, `
cat README.md
git config --list --show-origin | grep -i credential || echo "no credential helper here"
ls -d /buildkite/git-credentials 2> /dev/null || echo "no credentials here"
export GIT_TERMINAL_PROMPT=0
if git fetch origin; then echo "fetched without credentials"; exit 1; fi
if git push origin HEAD:refs/heads/other; then echo "pushed without credentials"; exit 1; fi
`+searchScript(t, privatePassword)))
		b.passes(t)
		log := b.job(t, "private").logs(t, "# private", "\nno credential helper here\n", "\nno credentials here\n", "could not read Username",
			"\nvariables with it: 0\n", "\nsearch is over\n")
		if strings.Contains(log, "\nfound in file") || strings.Contains(log, privatePassword) {
			t.Errorf("the password left the checkout container:\n%s", log)
		}
	})
	t.Run("WrongPassword", func(t *testing.T) {
		credentials := createSecret(t, "git", map[string]string{".git-credentials": private.credentials("wrong")})
		b := startWith(t, buildOptions{repository: private.url()}, privatePipeline(authority, credentials, "echo not reached"))
		b.fails(t)
		j := b.job(t, "private")
		if log := j.logs(t, "Authentication failed for"); strings.Contains(log, "\nnot reached\n") {
			t.Errorf("the command ran without a checkout:\n%s", log)
		}
		j.exitsNonZero(t)
	})
	// The Secret is for checkout alone.
	t.Run("InAJobContainer", func(t *testing.T) {
		credentials := createSecret(t, "git", map[string]string{".git-credentials": private.credentials(privatePassword)})
		b := startWith(t, buildOptions{repository: private.url()}, `
steps:
  - label: greedy
    plugins:
      - kubernetes:
          checkout:
            gitCredentialsSecret: {secretName: `+credentials+`}
          podSpec:
            volumes:
              - {name: mine, secret: {secretName: `+credentials+`}}
            containers:
              - image: @SHELL@
                command: ["echo not reached"]
`)
		b.fails(t)
		b.job(t, "greedy").logs(t, "podSpec.volumes[0].secret.secretName", "only checkout may have")
	})
}

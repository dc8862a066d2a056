package endtoend

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// useKeys is what an author may do with the keys in a job container, both ways
// that the documentation names, and that the keys are what does it.
const useKeys = `
set -eu
me=$(id -un)
stat -c "$me has %A of %U: %n" /workspace/.ssh /workspace/.ssh/id_rsa
ln -s /workspace/.ssh ~/.ssh
git fetch --quiet origin && echo "$me fetched through the link"
rm ~/.ssh
mkdir -m 700 ~/.ssh
cp /workspace/.ssh/known_hosts ~/.ssh/
if git ls-remote origin; then echo "$me needs no key"; exit 1; fi
export GIT_SSH_COMMAND="ssh -i /workspace/.ssh/id_rsa"
git ls-remote origin main && echo "$me listed with the command"
`

const twoUsers = `
          podSpec:
            containers:
              - name: as-root
                image: @GIT@
                securityContext: {runAsUser: 0}
                command:
                  - |
@SCRIPT@
              - name: as-builder
                image: @GIT@
                securityContext: {runAsUser: 1000}
                command:
                  - |
@SCRIPT@
`

func TestSSHKeyOfGitEnvFrom(t *testing.T) {
	t.Parallel()
	server := gitServer(t)
	secret := createSecret(t, "ssh", map[string]string{"SSH_PRIVATE_RSA_KEY": server.key(t, "client")})
	b := startWith(t, buildOptions{repository: server.url()}, `
steps:
  - label: clone
    plugins:
      - kubernetes:
          gitEnvFrom:
            - secretRef: {name: `+secret+`}`+strings.ReplaceAll(twoUsers, "@SCRIPT@", indented(useKeys)))
	b.passes(t)
	log := b.job(t, "clone").logs(t)
	for _, user := range []string{"root", "builder"} {
		for _, want := range []string{
			user + " has -rw------- of " + user + ": /workspace/.ssh/id_rsa",
			user + " fetched through the link", user + " listed with the command",
		} {
			if !strings.Contains(log, "\n"+want+"\n") {
				t.Errorf("the log lacks the line %q", want)
			}
		}
	}
	if strings.Contains(log, "PRIVATE KEY-----\n") {
		t.Error("the log holds the key")
	}
	if t.Failed() {
		t.Log(log)
	}
}

// The server's name is known from SSH_CONFIG alone and its key from
// SSH_KNOWN_HOSTS alone: under the alias ssh-keyscan cannot have added it.
func TestSSHConfigAndKnownHosts(t *testing.T) {
	t.Parallel()
	server := gitServer(t)
	config := fmt.Sprintf(`Host repositories
  HostName %s
  Port %s
  User git
  HostKeyAlias pinned
  StrictHostKeyChecking yes
`, server.host, sshPort)
	pipeline := func(hostKey string) string {
		secret := createSecret(t, "ssh", map[string]string{
			"SSH_PRIVATE_RSA_KEY": server.key(t, "client"), "SSH_CONFIG": config, "SSH_KNOWN_HOSTS": "pinned " + hostKey,
		})
		return `
steps:
  - label: clone
    plugins:
      - kubernetes:
          gitEnvFrom:
            - secretRef: {name: ` + secret + `}` + strings.ReplaceAll(twoUsers, "@SCRIPT@", indented(`
ln -s /workspace/.ssh ~/.ssh
git fetch --quiet origin && echo "$(id -un) fetched by alias"
`))
	}
	t.Run("RightKey", func(t *testing.T) {
		b := startWith(t, buildOptions{repository: "git@repositories:" + sshRepo}, pipeline(server.key(t, "host.pub")))
		b.passes(t)
		b.job(t, "clone").logs(t, "\nroot fetched by alias\n", "\nbuilder fetched by alias\n")
	})
	t.Run("WrongKey", func(t *testing.T) {
		b := startWith(t, buildOptions{repository: "git@repositories:" + sshRepo}, pipeline(server.key(t, "client.pub")))
		b.fails(t)
		b.job(t, "clone").logs(t, "Host key verification failed")
	})
}

// What OpenSSH cannot use is said in the job's log, in words of which the key is
// no part; a public repository is cloned nevertheless.
func TestSSHKeyInTheWrongFormat(t *testing.T) {
	t.Parallel()
	server := gitServer(t)
	for name, tc := range map[string]struct{ file, want string }{
		"PublicKey":  {"client.pub", "SSH_PRIVATE_RSA_KEY is a public key; store the private one"},
		"Passphrase": {"locked", "SSH_PRIVATE_RSA_KEY has a passphrase"},
	} {
		t.Run(name, func(t *testing.T) {
			key := server.key(t, tc.file)
			secret := createSecret(t, "ssh", map[string]string{"SSH_PRIVATE_RSA_KEY": key})
			b := start(t, `
steps:
  - label: public
    plugins:
      - kubernetes:
          gitEnvFrom:
            - secretRef: {name: `+secret+`}
          podSpec:
            containers:
              - image: @SHELL@
                command: ["echo a public repository needs no key"]
`)
			b.passes(t)
			log := b.job(t, "public").logs(t, tc.want, "\na public repository needs no key\n")
			if regexp.MustCompile(pattern(t, key)).MatchString(log) {
				t.Errorf("the log holds the value:\n%s", log)
			}
		})
	}
	// The original README says that this form does not work. With this OpenSSH it
	// does; the log says that it may not with another.
	t.Run("PKCS8", func(t *testing.T) {
		key := server.key(t, "general")
		if !strings.HasPrefix(key, "-----BEGIN PRIVATE KEY-----") {
			t.Fatal("the key is not in PKCS#8 form")
		}
		secret := createSecret(t, "ssh", map[string]string{"SSH_PRIVATE_RSA_KEY": key})
		b := startWith(t, buildOptions{repository: server.url()}, `
steps:
  - label: private
    plugins:
      - kubernetes:
          gitEnvFrom:
            - secretRef: {name: `+secret+`}
          podSpec:
            containers:
              - image: @SHELL@
                command: ["cat README.md"]
`)
		b.passes(t)
		b.job(t, "private").logs(t, "SSH_PRIVATE_RSA_KEY is in PKCS#8 form", "# sample")
	})
}

func TestSSHKeyOfCheckoutStaysThere(t *testing.T) {
	t.Parallel()
	server := gitServer(t)
	key := server.key(t, "client")
	secret := createSecret(t, "ssh", map[string]string{"SSH_PRIVATE_RSA_KEY": key})
	container := `
          podSpec:
            containers:
              - image: @GIT@
                securityContext: {runAsUser: 0}
                command:
                  - |
` + indented(searchScript(t, key))
	b := startWith(t, buildOptions{repository: server.url()}, `
steps:
  - label: private
    plugins:
      - kubernetes:
          checkout:
            envFrom:
              - secretRef: {name: `+secret+`}`+container+`
  - label: shared
    plugins:
      - kubernetes:
          gitEnvFrom:
            - secretRef: {name: `+secret+`}`+container)
	b.passes(t)
	if log := b.job(t, "private").logs(t, "\nvariables with it: 0\n", "\nsearch is over\n"); strings.Contains(log, "\nfound in file") {
		t.Errorf("the key left the checkout container:\n%s", log)
	}
	// The same search finds what is there.
	b.job(t, "shared").logs(t, "\nfound in file /workspace/.ssh/id_rsa\n", "\nvariables with it: 1\n")
}

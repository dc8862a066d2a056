//go:build linux

package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLink(t *testing.T) {
	cases := map[string]struct {
		// user is what the user database says the home directory is; "" knows no user.
		user    string
		prepare func(p place)
		own     []string
		command string // what follows GIT_SSH_COMMAND=, in which DIR stands for the directory
		linked  []string
		problem string
	}{
		"both":           {"home", nil, nil, "", []string{"home", "other"}, ""},
		"linked already": {"home", func(p place) { p.symlink(p.ssh, "home/.ssh") }, nil, "", []string{"home", "other"}, ""},
		"the image has one": {"home", func(p place) { p.write("home/.ssh/known_hosts", "") }, nil,
			"ssh -F 'DIR/config' -i 'DIR/id_rsa' -o 'UserKnownHostsFile=DIR/known_hosts ABOVE/other/.ssh/known_hosts ~/.ssh/known_hosts'", []string{"other"}, ""},
		"linked elsewhere": {"home", func(p place) { p.symlink("/tmp", "home/.ssh") }, nil,
			"ssh -F 'DIR/config' -i 'DIR/id_rsa' -o 'UserKnownHostsFile=DIR/known_hosts ABOVE/other/.ssh/known_hosts ~/.ssh/known_hosts'", []string{"other"}, ""},
		"no home directory": {"none", nil, nil,
			"ssh -F 'DIR/config' -i 'DIR/id_rsa' -o 'UserKnownHostsFile=DIR/known_hosts ABOVE/other/.ssh/known_hosts ~/.ssh/known_hosts'", []string{"other"}, ""},
		"a command of the user's": {"none", nil, []string{"GIT_SSH_COMMAND=mine"}, "mine", []string{"other"}, ""},
		"a program of the user's": {"none", nil, []string{"GIT_SSH=/mine"}, "", []string{"other"}, ""},
		"unknown user": {"", nil, nil,
			"ssh -F 'DIR/config' -i 'DIR/id_rsa' -o 'UserKnownHostsFile=DIR/known_hosts ABOVE/other/.ssh/known_hosts ~/.ssh/known_hosts'", []string{"other"},
			"OpenSSH refuses to work for user 1234, whom ABOVE/passwd does not know: set runAsUser"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			for _, home := range []string{"home", "other"} {
				if err := os.Mkdir(filepath.Join(p.above, home), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			if tc.prepare != nil {
				tc.prepare(p)
			}
			database := "root:x:0:0:root:/root:/bin/sh\nbroken\n"
			if tc.user != "" {
				database += "user:x:1234:0::" + filepath.Join(p.above, tc.user) + ":/bin/sh\n"
			}
			environment := append([]string{"SSH_CONFIG=Host a", "SSH_PRIVATE_RSA_KEY=" + openSSHKey("none")}, tc.own...)
			result := SetUp(environment, Options{
				Directory: p.ssh, Link: true, Home: filepath.Join(p.above, "other"), Passwd: p.write("passwd", database), UID: 1234,
			})
			there := strings.NewReplacer("DIR", p.ssh, "ABOVE", p.above)
			if got, want := lookup(result.Environment, "GIT_SSH_COMMAND"), there.Replace(tc.command); got != want {
				t.Errorf("GIT_SSH_COMMAND is\n%s, want\n%s", got, want)
			}
			for _, home := range tc.linked {
				if target, err := os.Readlink(filepath.Join(p.above, home, ".ssh")); err != nil || target != p.ssh {
					t.Errorf("%s: %q, %v; want a link to the directory", home, target, err)
				}
			}
			if got, want := strings.Join(result.Problems, "\n"), there.Replace(tc.problem); !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("problems %q, want %q", got, want)
			}
		})
	}
}

//go:build linux

package ssh

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// place is a directory with a place for an SSH directory and things beside it.
type place struct {
	t *testing.T
	// above is the directory above the SSH directory.
	above string
	ssh   string
}

func newPlace(t *testing.T) place {
	t.Helper()
	above := filepath.Join(t.TempDir(), "workspace")
	if err := os.Mkdir(above, 0o777); err != nil {
		t.Fatal(err)
	}

	return place{t, above, filepath.Join(above, ".ssh")}
}

func (p place) write(path, contents string) string {
	p.t.Helper()
	path = filepath.Join(p.above, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
		p.t.Fatal(err)
	}

	return path
}

func (p place) symlink(target, path string) {
	p.t.Helper()
	path = filepath.Join(p.above, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		p.t.Fatal(err)
	}
}

// contents are the SSH directory's files with their modes.
func (p place) contents() map[string]string {
	p.t.Helper()
	entries, err := os.ReadDir(p.ssh)
	if err != nil {
		p.t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			p.t.Fatal(err)
		}
		if !info.Mode().IsRegular() {
			found[entry.Name()] = info.Mode().String()

			continue
		}
		contents, err := os.ReadFile(filepath.Join(p.ssh, entry.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		found[entry.Name()] = info.Mode().String() + " " + string(contents)
	}

	return found
}

func (p place) setUp(environment ...string) Result {
	p.t.Helper()

	return SetUp(environment, Options{Directory: p.ssh})
}

func (p place) want(want map[string]string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.contents()); diff != "" {
		p.t.Errorf("files (-want +got):\n%s", diff)
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestFiles(t *testing.T) {
	const empty = "-rw-r--r-- "
	key := openSSHKey("none")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		environment []string
		want        map[string]string
	}{
		"keys": {
			[]string{"SSH_PRIVATE_RSA_KEY=" + key, "SSH_PRIVATE_DSA_KEY=" + key, "SSH_PRIVATE_ECDSA_KEY=" + key, "SSH_PRIVATE_ED25519_KEY=" + key},
			map[string]string{
				"id_rsa": "-rw------- " + key, "id_dsa": "-rw------- " + key, "id_ecdsa": "-rw------- " + key, "id_ed25519": "-rw------- " + key,
				"known_hosts": empty,
			},
		},
		"configuration": {
			[]string{"SSH_CONFIG=Host a\n  Port 2", "SSH_KNOWN_HOSTS=a ssh-rsa A\nb ssh-rsa B"},
			map[string]string{"config": "-rw------- Host a\n  Port 2\n", "known_hosts": empty + "a ssh-rsa A\nb ssh-rsa B\n"},
		},
		"configuration of Windows": {
			[]string{"SSH_CONFIG=Host a\r\n  Port 2\r\n"},
			map[string]string{"config": "-rw------- Host a\n  Port 2\n", "known_hosts": empty},
		},
		"debug":               {[]string{"SSH_DEBUG=1"}, map[string]string{"config": "-rw------- Host *\n  LogLevel DEBUG3\n", "known_hosts": empty}},
		"configuration debug": {[]string{"SSH_DEBUG=1", "SSH_CONFIG=Host a"}, map[string]string{"config": "-rw------- Host a\nHost *\n  LogLevel DEBUG3\n", "known_hosts": empty}},
		"base64":              {[]string{"SSH_PRIVATE_RSA_KEY_B64=" + encode(key)[:60] + "\n" + encode(key)[60:]}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"base64 wins":         {[]string{"SSH_PRIVATE_RSA_KEY_B64=" + encode(key), "SSH_PRIVATE_RSA_KEY=other"}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"path":                {[]string{"SSH_PRIVATE_RSA_KEY_PATH=" + file}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"path comes last":     {[]string{"SSH_PRIVATE_RSA_KEY_PATH=/no/such/file", "SSH_PRIVATE_RSA_KEY=" + key}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"no line at the end":  {[]string{"SSH_PRIVATE_RSA_KEY=" + strings.TrimSpace(key)}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"Windows line ends":   {[]string{"SSH_PRIVATE_RSA_KEY=\ufeff" + strings.ReplaceAll(key, "\n", "\r\n")}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
		"indented":            {[]string{"SSH_PRIVATE_RSA_KEY=\n  " + strings.ReplaceAll(key, "\n", "\n  ")}, map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": empty}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			// Whatever the umask says.
			old := unix.Umask(0o077)
			defer unix.Umask(old)
			if result := p.setUp(tc.environment...); len(result.Problems)+len(result.Notes) > 0 {
				t.Errorf("unexpected sentences: %q", append(result.Problems, result.Notes...))
			}
			p.want(tc.want)
			if info, err := os.Stat(p.ssh); err != nil || info.Mode().Perm() != 0o777 {
				t.Errorf("%v, %v: want a directory open to all", info, err)
			}
		})
	}
}

func TestNothingToDo(t *testing.T) {
	p := newPlace(t)
	environment := []string{"SSH_AUTH_SOCK=/x", "SSH_PRIVATE_RSA_KEY=", "SSH_PRIVATE_KEY=x"}
	result := p.setUp(environment...)
	if diff := cmp.Diff(Result{Environment: environment}, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(p.ssh); err == nil {
		t.Error("there is a directory")
	}
}

func TestPrivate(t *testing.T) {
	p := newPlace(t)
	SetUp([]string{"SSH_DEBUG=1"}, Options{Directory: p.ssh, Private: true})
	if info, err := os.Stat(p.ssh); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: want a directory closed to others", info, err)
	}
}

func TestKnownHostsAreMerged(t *testing.T) {
	p := newPlace(t)
	p.write(".ssh/known_hosts", "a ssh-rsa A\nscanned ssh-rsa S")
	p.setUp("SSH_KNOWN_HOSTS=b ssh-rsa B\na ssh-rsa A")
	p.setUp("SSH_KNOWN_HOSTS=b ssh-rsa B")
	p.want(map[string]string{"known_hosts": "-rw-r--r-- a ssh-rsa A\nscanned ssh-rsa S\nb ssh-rsa B\n"})
}

// Whatever an earlier container put there, nothing outside is written, read or
// waited for.
func TestHostileDirectory(t *testing.T) {
	key := openSSHKey("none")
	full := map[string]string{"id_rsa": "-rw------- " + key, "known_hosts": "-rw-r--r-- a ssh-rsa A\n"}
	cases := map[string]struct {
		prepare func(p place, outside string)
		want    map[string]string
		problem string
	}{
		"the directory is a link": {func(p place, outside string) { p.symlink(outside, ".ssh") }, full, ""},
		"the directory is a file": {func(p place, _ string) { p.write(".ssh", "x") }, full, ""},
		"the directory is a pipe": {func(p place, _ string) { p.pipe(".ssh") }, full, ""},
		"files are links": {func(p place, outside string) {
			p.symlink(filepath.Join(outside, "file"), ".ssh/id_rsa")
			p.symlink(filepath.Join(outside, "file"), ".ssh/known_hosts")
		}, full, ""},
		"files are links inside": {func(p place, _ string) {
			p.write("secret", "inside ssh-rsa X")
			p.symlink("../secret", ".ssh/known_hosts")
		}, full, ""},
		// Into a file that all may read.
		"the hosts are a link to a key": {func(p place, _ string) {
			p.write(".ssh/id_ed25519", "secret")
			p.symlink("id_ed25519", ".ssh/known_hosts")
		}, map[string]string{"id_rsa": full["id_rsa"], "known_hosts": full["known_hosts"], "id_ed25519": "-rw------- secret"}, ""},
		"files are pipes": {func(p place, _ string) { p.pipe(".ssh/id_rsa"); p.pipe(".ssh/known_hosts") }, full, ""},
		"a file is a directory": {func(p place, _ string) { p.write(".ssh/id_rsa/file", "x") },
			map[string]string{"id_rsa": "drwxr-xr-x", "known_hosts": "-rw-r--r-- a ssh-rsa A\n"}, "id_rsa: "},
		"a file is huge": {func(p place, _ string) { p.write(".ssh/known_hosts", strings.Repeat("x", contentLimit+1)) }, full, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "file"), []byte("outside ssh-rsa X\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			tc.prepare(p, outside)
			result := p.setUp("SSH_PRIVATE_RSA_KEY="+key, "SSH_KNOWN_HOSTS=a ssh-rsa A")
			switch got := strings.Join(result.Problems, "\n"); {
			case tc.problem == "" && got != "", !strings.Contains(got, tc.problem):
				t.Errorf("want the problem %q, got %q", tc.problem, got)
			}
			p.want(tc.want)
			entries, err := os.ReadDir(outside)
			contents, readErr := os.ReadFile(filepath.Join(outside, "file"))
			if err != nil || len(entries) != 1 || readErr != nil || string(contents) != "outside ssh-rsa X\n" {
				t.Errorf("outside was changed: %v, %v, %q", entries, err, contents)
			}
		})
	}
}

func (p place) pipe(path string) {
	p.t.Helper()
	path = filepath.Join(p.above, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

func TestUnreadable(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ variable, want string }{
		"no such file": {"SSH_PRIVATE_RSA_KEY_PATH=/no/such/file", "SSH_PRIVATE_RSA_KEY_PATH: open /no/such/file: no such file or directory; mount the file"},
		"a pipe":       {"SSH_CONFIG_PATH=" + pipe, "is not a regular file"},
		"no base64":    {"SSH_KNOWN_HOSTS_B64=secret!", "SSH_KNOWN_HOSTS_B64 is not base64"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			result := newPlace(t).setUp(tc.variable)
			if len(result.Problems) != 1 || !strings.Contains(result.Problems[0], tc.want) {
				t.Errorf("want %q, got %q", tc.want, result.Problems)
			}
			if strings.Contains(strings.Join(result.Problems, ""), "secret!") {
				t.Error("a value is in the sentence")
			}
		})
	}
}

func TestNoWorkspace(t *testing.T) {
	result := SetUp([]string{"SSH_DEBUG=1"}, Options{Directory: "/no/such/directory/.ssh"})
	if len(result.Problems) != 1 || !strings.Contains(result.Problems[0], "The SSH directory cannot be made: open /no/such/directory") {
		t.Errorf("got %q", result.Problems)
	}
}

func TestVariablesAreUnset(t *testing.T) {
	environment := []string{"A=b", "SSH_PRIVATE_RSA_KEY=x", "SSH_CONFIG_B64=" + encode("Host a"), "SSH_KNOWN_HOSTS_PATH=/x", "SSH_AUTH_SOCK=/x", "SSH_DEBUG=1"}
	before := slices.Clone(environment)
	p := newPlace(t)
	passwd := p.write("passwd", "root:x:0:0:root:"+p.above+":/bin/sh\n")
	result := SetUp(environment, Options{Directory: p.ssh, Link: true, Passwd: passwd})
	if diff := cmp.Diff([]string{"A=b", "SSH_AUTH_SOCK=/x"}, result.Environment); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, environment); diff != "" {
		t.Errorf("the caller's environment was changed (-before +after):\n%s", diff)
	}
	// A job's own command may use them.
	if result := p.setUp(environment...); !slices.Equal(result.Environment, before) {
		t.Errorf("want all variables, got %q", result.Environment)
	}
}

//go:build linux

package ssh

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Variables that tell Git how to connect.
const (
	gitSSHCommand = "GIT_SSH_COMMAND"
	gitSSH        = "GIT_SSH"
)

// link lets what runs next find the directory. OpenSSH takes the home directory
// from the user database and not from HOME; the agent, which adds the
// repository's host to known_hosts, takes HOME. Where the first cannot be linked,
// Git is told all that would have been found there.
func (r *Result) link(directory *sshDirectory, options Options) {
	home, known := homeOf(options.Passwd, options.UID)
	if !known {
		r.problemf("OpenSSH refuses to work for user %d, whom %s does not know: set runAsUser in the pod's securityContext, "+
			"so that it is known when the pod is made, or use an image that has the user.", options.UID, options.Passwd)
	}
	if filepath.IsAbs(options.Home) {
		linkHome(options.Home, directory.path)
	}
	if known && filepath.IsAbs(home) && linkHome(home, directory.path) {
		return
	}
	if lookup(r.Environment, gitSSHCommand) != "" || lookup(r.Environment, gitSSH) != "" {
		return
	}
	r.Environment = append(r.Environment, gitSSHCommand+"="+command(directory, options.Home))
}

// linkHome makes .ssh in a home directory a link to the directory, and says
// whether it is one now. One that is there is the image's and stays.
func linkHome(home, directory string) bool {
	link := filepath.Join(home, ".ssh")
	_ = os.Symlink(directory, link)
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return false
	}
	own, err := filepath.EvalSymlinks(directory)

	return err == nil && target == own
}

// command is how to call ssh with the directory's files. Those of the home
// directory that ssh knows are used besides.
func command(directory *sshDirectory, home string) string {
	words := []string{"ssh"}
	if directory.has("config") {
		words = append(words, "-F", quote(filepath.Join(directory.path, "config")))
	}
	for _, key := range keyVariables {
		if directory.has(key.file) {
			words = append(words, "-i", quote(filepath.Join(directory.path, key.file)))
		}
	}
	hosts := []string{filepath.Join(directory.path, "known_hosts")}
	if filepath.IsAbs(home) {
		hosts = append(hosts, filepath.Join(home, ".ssh", "known_hosts"))
	}
	hosts = append(hosts, "~/.ssh/known_hosts")
	for i, path := range hosts {
		if strings.ContainsAny(path, " \t") {
			hosts[i] = `"` + path + `"`
		}
	}

	return strings.Join(append(words, "-o", quote("UserKnownHostsFile="+strings.Join(hosts, " "))), " ")
}

// quote writes a word for the shell that Git runs the command with.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// homeOf returns a user's home directory, and whether the user is in the database.
// The format is that of passwd(5).
func homeOf(passwd string, uid int) (home string, known bool) {
	file, err := os.Open(passwd)
	if err != nil {
		return "", false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) >= 6 && fields[2] == strconv.Itoa(uid) {
			return fields[5], true
		}
	}

	return "", false
}

// String hides what is in a key from whatever prints it.
func (k key) String() string { return fmt.Sprintf("%s (%d bytes)", k.file, len(k.contents)) }

//go:build linux

package ssh

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The variables are those of the script that Buildkite's own agent images run
// first. Source: ssh-env-config.sh of github.com/buildkite/docker-ssh-env-config.
// Each has two siblings: with base64 of the contents, which wins, and with the
// path of a file that is used if there is neither.
const (
	base64Suffix = "_B64"
	pathSuffix   = "_PATH"
	// debugVariable raises the log level in the configuration; any value does.
	debugVariable = "SSH_DEBUG"

	configVariable     = "SSH_CONFIG"
	knownHostsVariable = "SSH_KNOWN_HOSTS"
)

// keyVariables are the private keys, in the order in which they are written.
var keyVariables = []struct{ variable, file string }{
	{"SSH_PRIVATE_RSA_KEY", "id_rsa"},
	{"SSH_PRIVATE_DSA_KEY", "id_dsa"},
	{"SSH_PRIVATE_ECDSA_KEY", "id_ecdsa"},
	{"SSH_PRIVATE_ED25519_KEY", "id_ed25519"},
}

// names are all the variables.
var names = func() []string {
	all := []string{debugVariable}
	base := []string{configVariable, knownHostsVariable}
	for _, key := range keyVariables {
		base = append(base, key.variable)
	}
	for _, name := range base {
		all = append(all, name, name+base64Suffix, name+pathSuffix)
	}

	return all
}()

// debugConfiguration is what debugVariable adds.
const debugConfiguration = "Host *\n  LogLevel DEBUG3\n"

// contentLimit bounds one file: a variable holds at most 128 KiB, and a Secret,
// from which the files named by paths come, a MiB.
const contentLimit = 1 << 20

// files is what the environment asks for.
type files struct {
	config     string
	knownHosts string
	keys       []key
	problems   []string
	notes      []string
}

// key is a private key and the name of its file.
type key struct{ file, contents string }

func (f *files) empty() bool {
	return f.config == "" && f.knownHosts == "" && len(f.keys) == 0 && len(f.problems) == 0
}

func read(environment []string) *files {
	wanted := &files{}
	wanted.config = wanted.value(environment, configVariable).text
	if lookup(environment, debugVariable) != "" {
		wanted.config += debugConfiguration
	}
	wanted.knownHosts = wanted.value(environment, knownHostsVariable).text
	for _, variable := range keyVariables {
		given := wanted.value(environment, variable.variable)
		if given.text == "" {
			continue
		}
		contents := tidyKey(given.text)
		problem, note := examine(contents)
		if problem != "" {
			wanted.problems = append(wanted.problems, given.name+" "+problem)
		}
		if note != "" {
			wanted.notes = append(wanted.notes, given.name+" "+note)
		}
		wanted.keys = append(wanted.keys, key{variable.file, contents})
	}

	return wanted
}

// value is what a variable, or one of its siblings, gives.
type value struct {
	// name is the variable that gave it.
	name string
	text string
}

// value reads a variable or its siblings. What cannot be read is a problem.
func (f *files) value(environment []string, name string) value {
	if encoded := lookup(environment, name+base64Suffix); encoded != "" {
		text, err := decode(encoded)
		if err == nil {
			return value{name + base64Suffix, tidy(text)}
		}
		f.problems = append(f.problems, name+base64Suffix+" is not base64; encode the file with `base64 -w0`, or give it as it is in "+name+".")
	}
	if text := lookup(environment, name); text != "" {
		return value{name, tidy(text)}
	}
	if path := lookup(environment, name+pathSuffix); path != "" {
		text, err := readFile(path)
		if err == nil {
			return value{name + pathSuffix, tidy(text)}
		}
		f.problems = append(f.problems, fmt.Sprintf("%s: %v; mount the file in this container.", name+pathSuffix, err))
	}

	return value{}
}

// decode takes base64 however it was wrapped.
func decode(text string) (string, error) {
	contents, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))

	return string(contents), err
}

// tidy gives a text the line ends that OpenSSH wants, and one at the end: values
// of variables often lack it, and those written on Windows have too much.
func tidy(text string) string {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}

	return text + "\n"
}

// readFile reads a file that the user names: a link is as good, a pipe is not.
func readFile(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()

	return readAll(file)
}

// readAll reads a regular file of at most contentLimit bytes.
func readAll(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New(file.Name() + " is not a regular file")
	}
	contents, err := io.ReadAll(io.LimitReader(file, contentLimit+1))
	if err != nil {
		return "", err
	}
	if len(contents) > contentLimit {
		return "", fmt.Errorf("%s has more than %d bytes", file.Name(), contentLimit)
	}

	return string(contents), nil
}

// merge returns the lines of the first text, and those of the second that it
// lacks.
func merge(first, second string) string {
	lines := strings.Split(strings.TrimRight(first, "\n"), "\n")
	for line := range strings.Lines(second) {
		line = strings.TrimRight(line, "\n")
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}

	return strings.TrimLeft(tidy(strings.Join(lines, "\n")), "\n")
}

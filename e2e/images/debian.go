package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// included are the packages beside the essential ones: what a checkout needs, the
// init process of the agent's published images, and the server that the tests
// clone from over SSH. The latter is here although only one image runs it: a root
// of its own would take a minute to make.
const included = "git,ca-certificates,openssh-client,openssh-server,tini"

// distribution is the one this machine runs: its mirror is known to answer.
type distribution struct{ codename, mirror, components, keyring string }

func debianKey(context.Context) (string, error) {
	d, err := readRelease()
	if err != nil {
		return "", err
	}
	return strings.Join([]string{"1", d.codename, d.components, included, runtime.GOARCH, strings.Join(omitted, ",")}, " "), nil
}

// readRelease says what this machine runs, but not where its packages come from.
func readRelease() (distribution, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return distribution{}, fmt.Errorf("find this machine's distribution: %w; the agent image is made on Debian or Ubuntu", err)
	}
	d := distribution{components: "main"}
	for line := range strings.Lines(string(release)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"`); {
		case key == "VERSION_CODENAME":
			d.codename = value
		case key == "ID" && value == "ubuntu":
			d.components = "main,universe" // tini is in universe
		}
	}
	if d.codename == "" {
		return distribution{}, errors.New("find this machine's distribution: /etc/os-release has no VERSION_CODENAME; the agent image is made on a release of Debian or Ubuntu")
	}
	return d, nil
}

// findDistribution adds where apt gets the machine's release from.
func findDistribution(ctx context.Context) (distribution, error) {
	d, err := readRelease()
	if err != nil {
		return distribution{}, err
	}
	output, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI) $(SIGNED_BY)", "Created-By: Packages").Output()
	if err != nil {
		return distribution{}, fmt.Errorf("read apt's package sources: %w; the agent image is made on Debian or Ubuntu", err)
	}
	return d.from(string(output))
}

// from picks the release's mirror from apt's list of sources.
func (d distribution) from(sources string) (distribution, error) {
	for line := range strings.Lines(sources) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != d.codename || fields[1] != "main" {
			continue
		}
		d.mirror = fields[2]
		if len(fields) > 3 && strings.HasPrefix(fields[3], "/") {
			d.keyring = fields[3]
		}
		return d, nil
	}
	return distribution{}, fmt.Errorf("read apt's package sources: none has %q, main; add one to /etc/apt/sources.list.d", d.codename)
}

func (d distribution) arguments(root string) []string {
	arguments := []string{"--variant=minbase", "--components=" + d.components, "--include=" + included}
	if d.keyring != "" {
		arguments = append(arguments, "--keyring="+d.keyring)
	}
	return append(arguments, d.codename, root, d.mirror)
}

func makeDebian(ctx context.Context, scratch string, note func(string)) (v1.Layer, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make the agent image: debootstrap needs root; run this as root")
	}
	debootstrap, err := exec.LookPath("debootstrap")
	if err != nil {
		note("installing the package debootstrap")
		if err := aptGet(ctx, "", "install", "--yes", "--no-install-recommends", "debootstrap"); err != nil {
			return nil, err
		}
		debootstrap = "/usr/sbin/debootstrap"
	}
	d, err := findDistribution(ctx)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(scratch, "root")
	command := exec.CommandContext(ctx, debootstrap, d.arguments(root)...)
	command.Env = append(os.Environ(), aptProxy(ctx)...)
	// It mounts /proc inside root and starts many processes. In namespaces of its
	// own all of that ends with it, however it ends, and nobody ever deletes a
	// root with a live /proc in it.
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	output := &lastLine{note: note}
	command.Stdout, command.Stderr = output, output
	// The signal of a dying parent is sent when its thread dies.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := command.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(root, "debootstrap/debootstrap.log"))
		return nil, explain(ctx, "make the agent image with debootstrap", err, output.text.String()+string(log))
	}
	return newLayer(func(archive *tar.Writer) error { return archiveTree(archive, root, omitted) }), nil
}

// aptProxy returns the environment in which downloads take apt's proxy.
func aptProxy(ctx context.Context) []string {
	output, err := exec.CommandContext(ctx, "apt-config", "shell", "proxy", "Acquire::http::Proxy").Output()
	_, value, found := strings.Cut(strings.TrimSpace(string(output)), "=")
	if value = strings.Trim(value, "'"); err != nil || !found || value == "" || value == "DIRECT" {
		return nil
	}
	return []string{"http_proxy=" + value}
}

// aptGet runs apt-get in directory. If that fails for want of package lists, as on
// a fresh machine, it fetches them and tries once more.
func aptGet(ctx context.Context, directory string, arguments ...string) error {
	doing := "apt-get " + strings.Join(arguments, " ")
	run := func(arguments ...string) (string, error) {
		command := exec.CommandContext(ctx, "apt-get", arguments...)
		command.Dir = directory
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		output, err := command.CombinedOutput()
		return string(output), err
	}
	if _, err := run(arguments...); err == nil {
		return nil
	}
	if output, err := run("update"); err != nil {
		return explain(ctx, "apt-get update", err, output)
	}
	if output, err := run(arguments...); err != nil {
		return explain(ctx, doing, err, output)
	}
	return nil
}

// lastLine keeps what a command prints and notes each line.
type lastLine struct {
	note func(string)
	text bytes.Buffer
}

func (l *lastLine) Write(data []byte) (int, error) {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimPrefix(strings.TrimSpace(line), "I: "); line != "" {
			l.note(line)
		}
	}
	return l.text.Write(data) //nolint:wrapcheck // a buffer's never fails
}

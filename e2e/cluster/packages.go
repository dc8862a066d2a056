package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// cniPlugins is where Debian's package puts them.
const cniPlugins = "/usr/lib/cni"

// systemPackages are Debian's, with a file by which each is known to be there.
var systemPackages = []struct{ name, program string }{
	{"runc", "runc"},
	{"iptables", "iptables-restore"},
	{"containernetworking-plugins", cniPlugins + "/bridge"},
}

// missingPackages returns the names of packages whose programs are not there,
// however they may have come.
func missingPackages() []string {
	var missing []string
	for _, p := range systemPackages {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.name)
		}
	}
	return missing
}

// installPackages installs what is missing and tells the reporter what.
func installPackages(ctx context.Context, report Reporter) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the local cluster needs %s, and this machine has no apt-get to install it: install it by hand", names)
	}
	report.Note("installs Debian packages: " + names)
	install := append([]string{"install", "--yes", "--no-install-recommends"}, missing...)
	err := aptGet(ctx, install...)
	if err != nil { // most likely an old or absent list of packages
		if err = aptGet(ctx, "update"); err == nil {
			err = aptGet(ctx, install...)
		}
	}
	if err != nil {
		return fmt.Errorf("install the Debian packages %s: %w", names, err)
	}
	if still := missingPackages(); len(still) > 0 {
		return fmt.Errorf("install the Debian packages %s: installed, but their programs are not in PATH", strings.Join(still, " "))
	}
	return nil
}

func aptGet(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=120"}, arguments...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return errors.New(aptReason(output.String(), err))
	}
	return nil
}

// aptReason picks from apt-get's output the line that says what is wrong.
func aptReason(output string, err error) string {
	for line := range strings.Lines(output) {
		if reason, found := strings.CutPrefix(strings.TrimSpace(line), "E: "); found {
			return reason
		}
	}
	return err.Error()
}

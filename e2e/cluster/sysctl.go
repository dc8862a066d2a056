package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// neededSysctls have to have these values for pods to reach services and the
// world. Other programs of the cluster set more of them.
var neededSysctls = map[string]string{
	"net/ipv4/ip_forward":                 "1",
	"net/bridge/bridge-nf-call-iptables":  "1", // pods on one bridge reach each other through services
	"net/bridge/bridge-nf-call-ip6tables": "1",
}

// changedSysctls are what the kubelet, kube-proxy and the CNI plugins set.
var changedSysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	"net/ipv4/conf/all/route_localnet", "net/netfilter/nf_conntrack_max",
}

const sysctlDir = "/proc/sys/"

// setSysctls remembers the machine's settings, to be restored, and makes ours.
func setSysctls() error {
	if err := loadModules(); err != nil {
		return err
	}
	before := map[string]string{}
	for name := range neededSysctls {
		readSysctl(before, name)
	}
	for _, name := range changedSysctls {
		readSysctl(before, name)
	}
	content, err := json.MarshalIndent(before, "", "  ")
	if err != nil {
		return fmt.Errorf("remember kernel settings: %w", err)
	}
	// Whole or not at all: what is remembered is later trusted.
	if err := os.WriteFile(sysctlFile+".new", content, 0o600); err != nil {
		return fmt.Errorf("remember kernel settings: %w", err)
	}
	if err := os.Rename(sysctlFile+".new", sysctlFile); err != nil {
		return fmt.Errorf("remember kernel settings: %w", err)
	}
	for name, value := range neededSysctls {
		if err := writeSysctl(name, value); err != nil {
			return err
		}
	}
	return nil
}

func readSysctl(into map[string]string, name string) {
	if content, err := os.ReadFile(sysctlDir + name); err == nil {
		into[name] = strings.TrimSpace(string(content))
	}
}

func writeSysctl(name, value string) error {
	if err := os.WriteFile(sysctlDir+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set kernel setting %s: %w", strings.ReplaceAll(name, "/", "."), err)
	}
	return nil
}

// restoreSysctls gives the machine back what setSysctls found.
func restoreSysctls() error {
	content, err := os.ReadFile(sysctlFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	before := map[string]string{}
	if err == nil {
		err = json.Unmarshal(content, &before)
	}
	if err != nil {
		return fmt.Errorf("restore kernel settings: %w", err)
	}
	for name, value := range before {
		now := map[string]string{}
		readSysctl(now, name)
		if current, known := now[name]; known && current != value {
			if err := writeSysctl(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadModules makes sure that the kernel has what pods' networks and images need;
// it may have them built in.
func loadModules() error {
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("read the kernel's file systems: %w", err)
	}
	modules := map[string]bool{"overlay": strings.Contains(string(filesystems), "\toverlay\n")}
	_, err = os.Stat(sysctlDir + "net/bridge/bridge-nf-call-iptables")
	modules["br_netfilter"] = err == nil
	for module, present := range modules {
		if present {
			continue
		}
		if output, err := exec.Command("modprobe", module).CombinedOutput(); err != nil {
			return fmt.Errorf("load kernel module %s: %w: %s", module, err, strings.TrimSpace(string(output)))
		}
	}
	return nil
}

package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// neededSpace is what images, pods and logs of a test run take, in bytes.
const neededSpace = 8 << 30

func checkRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("the local cluster needs root, for network interfaces, mounts and cgroups: run it with sudo")
	}
	return nil
}

// checkMachine finds, before anything is changed, what the cluster would fail at
// later. It is called when nothing of an earlier cluster is left.
func checkMachine() error {
	for _, check := range []func() error{checkKubelet, checkControllers, checkSpace, checkNetworks, checkPorts} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// kubelets are programs that are one or have one in them.
var kubelets = []string{"kubelet", "kubelite", "k3s", "k3s-server", "k3s-agent", "k0s", "rke2"}

func checkKubelet() error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("read the network namespace: %w", err)
	}
	if p, found := foreignKubelet(processes(), own); found {
		return fmt.Errorf("a kubelet that is not ours runs on this machine (%s, process %d): two cannot share its network and firewall; stop it, or use that cluster with CONTEXT=name", p.name, p.pid)
	}
	return nil
}

// foreignKubelet finds a kubelet in our network. One in a container of its own,
// such as kind's, does not disturb us.
func foreignKubelet(all []process, networkNamespace string) (process, bool) {
	for _, p := range all {
		is := slices.Contains(kubelets, p.name) || slices.Contains(kubelets, filepath.Base(p.arguments[0]))
		if is && !p.ours() && p.network == networkNamespace {
			return p, true
		}
	}
	return process{}, false
}

func checkControllers() error {
	if missing := missingControllers(); len(missing) > 0 {
		return fmt.Errorf("this machine has no cgroup controller %s, and the kubelet needs it: enable it in the kernel", strings.Join(missing, ", "))
	}
	return nil
}

func checkSpace() error {
	directory := filepath.Dir(StateDir)
	var status unix.Statfs_t
	if err := unix.Statfs(directory, &status); err != nil {
		return fmt.Errorf("find out the free space of %s: %w", directory, err)
	}
	free := status.Bavail * uint64(status.Bsize)
	if free < neededSpace {
		return fmt.Errorf("the local cluster needs %d GiB in %s and there are %.1f: free some", neededSpace>>30, directory, float64(free)/(1<<30))
	}
	return nil
}

// checkNetworks makes sure that nobody else uses the cluster's addresses.
func checkNetworks() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		destination, err := netip.ParsePrefix(route.Dst.String())
		if err != nil {
			continue
		}
		if taken := takenBy(destination); taken != "" {
			link, err := netlink.LinkByIndex(route.LinkIndex)
			if err != nil {
				continue // the route went with its interface
			}
			return fmt.Errorf("the local cluster needs the network %s, and this machine has a route to %s on %s: remove that interface or route", taken, destination, link.Attrs().Name)
		}
	}
	return nil
}

// takenBy returns which of our networks a route would take addresses from. A
// wider route does not: the narrower one wins.
func takenBy(route netip.Prefix) string {
	for _, own := range []string{PodNetwork, ServiceNetwork} {
		prefix := netip.MustParsePrefix(own)
		if route.Bits() >= prefix.Bits() && prefix.Contains(route.Addr()) {
			return own
		}
	}
	return ""
}

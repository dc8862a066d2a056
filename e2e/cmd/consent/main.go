// Command consent tells what `make demo` will change, and asks a person at a
// terminal. It imports next to nothing, so that the question comes before the
// quarter of an hour of compiling and not after it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

func main() {
	context := flag.String("context", "", "context of the user's cluster (default: a cluster on this machine)")
	registry := flag.String("registry", "", "with --context: where the images are pushed to")
	flag.Parse()
	if err := run(*context, *registry); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(context, registry string) error {
	changes, err := changes(context, registry)
	if err != nil {
		return err
	}
	fmt.Println("The demo will")
	for _, line := range changes {
		fmt.Printf("  - %s\n", line)
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Print("Going on without asking, as there is nobody to ask.\n\n")
		return nil
	}
	fmt.Print("Go on? [Y/n] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "" && answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	fmt.Println()
	return nil
}

func changes(context, registry string) ([]string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache directory: %w; set XDG_CACHE_HOME", err)
	}
	built := "compile Kubernetes, the Buildkite agent and the product, and keep them in " + filepath.Join(cache, "agent-stack-k8s")
	switch {
	case context != "" && registry == "":
		return nil, errors.New("REGISTRY is not set: a registry that this machine can push to and the cluster can pull from, such as localhost:5001 or ghcr.io/me")
	case context != "":
		return []string{
			built,
			fmt.Sprintf("push images to %s, which the cluster of context %q must be able to pull from", registry, context),
			"create in that cluster the namespaces buildkite, buildkite-jobs and buildkite-simulator, a webhook and three admission policies that concern labelled pods alone",
			"remove them all at the end",
		}, nil
	case os.Geteuid() != 0:
		return nil, errors.New("a Kubernetes node on this machine needs root: run it with sudo, or use a cluster of yours with CONTEXT=name REGISTRY=host/path")
	default:
		return []string{
			built,
			"install the Debian packages it needs: runc, CNI plugins, iptables, debootstrap, busybox and their like",
			"start a Kubernetes cluster: processes, a network bridge, firewall rules and cgroups, all of which `make cluster-down` takes away again",
		}, nil
	}
}

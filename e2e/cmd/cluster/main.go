// Command cluster starts and stops a Kubernetes node on this machine, without
// Docker.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "cluster",
		Short: "A Kubernetes node on this machine, without Docker",
		Long: `cluster runs etcd, the Kubernetes control plane, kubelet, containerd and an OCI
registry on this machine, as root. They go on running after "cluster up" ends,
until "cluster down" removes every trace of them.

State is in /var/lib/agent-stack-k8s, with one log file per program in logs/.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(up(), down(), status(), kubeconfig(), registryCommand())
	return root
}

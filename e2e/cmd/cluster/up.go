package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
)

func up() *cobra.Command {
	var options cluster.Options
	c := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or do nothing if it runs",
		Long: `up starts the cluster and ends when its node is ready and a pod can run. A cluster
that runs from the same programs is left as it is; what a killed one left behind
is removed first. Debian packages that are missing are installed.`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&options.Bin, "bin", "", "directory of the cluster's programs (default: this program's)")
	c.Flags().BoolVar(&options.CertManager, "cert-manager", false, "run cert-manager's controllers too; needs the Go command and a checkout around the working directory, or --custom-resources")
	c.Flags().StringVar(&options.CustomResources, "custom-resources", "", "directory with cert-manager's CustomResourceDefinitions as YAML")
	c.RunE = func(c *cobra.Command, _ []string) error {
		report := progress.New(c.OutOrStdout(), "Local cluster", cluster.Steps(options.CertManager))
		options.Progress = report
		running, err := cluster.Start(c.Context(), options)
		if err != nil {
			return explain(err)
		}
		describe(c.OutOrStdout(), running, report)
		return nil
	}
	return c
}

// explain adds what to do about a start that got as far as changing the machine.
func explain(err error) error {
	if _, missing := os.Stat(cluster.StateDir); missing != nil {
		return err
	}
	return fmt.Errorf("%w\nthe logs are in %s; `cluster down` removes what was started", err, cluster.LogDir)
}

func describe(w io.Writer, running *cluster.Cluster, report *progress.Progress) {
	if running.Reused {
		fmt.Fprintln(w, "The local cluster runs already.")
	} else {
		fmt.Fprintf(w, "The local cluster is ready after %s.\n", progress.Seconds(report.Elapsed()))
	}
	fmt.Fprintf(w, "\n  kubeconfig  %s\n  registry    %s (push from this machine; pods' images may name it)\n\n  %s --kubeconfig %s get pods --all-namespaces\n",
		running.Kubeconfig, cluster.Registry, filepath.Join(running.Bin, "kubectl"), running.Kubeconfig)
}

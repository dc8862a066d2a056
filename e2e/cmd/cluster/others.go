package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/cluster/registry"
)

func down() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and remove every trace of it",
		Long: `down ends the cluster's processes and removes their mounts, network namespaces,
bridge, firewall rules, cgroups, state and logs, and restores kernel settings. It
also cleans up after a cluster that was killed. Built programs, pushed images and
Debian packages stay.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cluster.Down(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "The local cluster is gone.")
			return nil
		},
	}
}

// errNotUp makes the exit status tell what status prints.
var errNotUp = errors.New("the local cluster is not up; `make cluster` starts it")

func status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which of the cluster's programs run; exit status 1 if it cannot be used",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s := cluster.CurrentStatus(c.Context())
			if !s.Exists {
				return errNotUp
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "PROGRAM\tPROCESS\tLOG")
			for _, program := range s.Programs {
				process := "-"
				if program.Pid != 0 {
					process = fmt.Sprint(program.Pid)
				}
				fmt.Fprintf(table, "%s\t%s\t%s\n", program.Name, process, program.Log)
			}
			if err := table.Flush(); err != nil {
				return fmt.Errorf("print the status: %w", err)
			}
			if s.Problem != nil {
				return fmt.Errorf("the local cluster cannot be used: %w", s.Problem)
			}
			fmt.Fprintf(c.OutOrStdout(), "\nThe node is ready; kubeconfig %s\n", cluster.Kubeconfig)
			return nil
		},
	}
}

func kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the kubeconfig: export KUBECONFIG=$(cluster kubeconfig)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := os.Stat(cluster.Kubeconfig); err != nil {
				return errNotUp
			}
			fmt.Fprintln(c.OutOrStdout(), cluster.Kubeconfig)
			return nil
		},
	}
}

// registryCommand is a process of the cluster, started by up.
func registryCommand() *cobra.Command {
	var address, directory string
	c := &cobra.Command{Use: "registry", Short: "Serve the OCI registry", Hidden: true, Args: cobra.NoArgs}
	c.Flags().StringVar(&address, "address", cluster.Registry, "host:port to listen on")
	c.Flags().StringVar(&directory, "directory", "", "where the images are kept")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if directory == "" {
			return errors.New("--directory is missing: the images have to be kept somewhere")
		}
		r, err := registry.New(directory, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		if err != nil {
			return err
		}
		return r.Serve(c.Context(), address)
	}
	return c
}

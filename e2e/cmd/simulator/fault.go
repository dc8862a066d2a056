package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

func retry(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "retry JOB",
		Short: "Run a job that has ended again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			retried, err := client.RetryJob(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), describe(retried.RetriedIn))
			return nil
		},
	}
}

func usage(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "usage",
		Short: "Say what GraphQL queries have cost, by user and operation",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			used, err := client.Usage(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, user := range used.Users {
				fmt.Fprintf(out, "%-8s %7d points, %5d requests, %d refused, at most %d points in a window\n",
					user.User, user.Points, user.Requests, user.Refused, user.Peak)
				for _, name := range slices.Sorted(maps.Keys(user.Operations)) {
					sum := user.Operations[name]
					fmt.Fprintf(out, "         %7d points, %5d requests  %s\n", sum.Points, sum.Requests, name)
				}
			}
			return nil
		},
	}
}

func faults(client *simulator.Client) *cobra.Command {
	var file string
	var removeAll bool
	command := &cobra.Command{
		Use:   "faults",
		Short: "List the faults that were asked for and how often they happened",
		Long: "List the faults that were asked for and how often they happened; with -f push more first, a JSON list such as\n" +
			`[{"api": "graphql", "operation": "scheduled*", "kind": "status", "status": 502, "count": 5}].`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if removeAll {
				if _, err := client.RemoveFault(ctx, ""); err != nil {
					return err
				}
			}
			if file != "" {
				text, err := readFile(cmd.InOrStdin(), file)
				if err != nil {
					return fmt.Errorf("read faults: %w", err)
				}
				var added []simulator.Fault
				decoder := json.NewDecoder(bytes.NewReader(text))
				decoder.DisallowUnknownFields()
				if err := decoder.Decode(&added); err != nil {
					return fmt.Errorf("read faults: %w", err)
				}
				if _, err := client.AddFaults(ctx, added...); err != nil {
					return err
				}
			}
			listed, err := client.Faults(ctx)
			for _, fault := range listed {
				fmt.Fprintf(cmd.OutOrStdout(), "%4s  %-8s %-16s %-30s %d of %d\n", fault.ID, fault.API, fault.Kind, fault.Operation, fault.Hits, fault.Count)
			}
			return err
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "file of faults to push; - is standard input")
	command.Flags().BoolVar(&removeAll, "clear", false, "end all faults first")
	return command
}

func token(client *simulator.Client) *cobra.Command {
	var request simulator.TokenRequest
	command := &cobra.Command{
		Use:   "token KIND TOKEN",
		Short: "Have a graphql or agent token taken, or with --revoke taken no more",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Kind, request.Token = args[0], args[1]
			return client.SetToken(cmd.Context(), request)
		},
	}
	command.Flags().BoolVar(&request.Revoked, "revoke", false, "revoke the token")
	command.Flags().StringVar(&request.Cluster, "cluster", "", "name or UUID of an agent token's cluster (default: the first)")
	return command
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

func cancel(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB",
		Short: "Cancel a job",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := client.CancelJob(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), describe(job))
			return nil
		},
	}
}

func showLog(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "log JOB",
		Short: "Print a job's log as plain text",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := client.JobLog(cmd.Context(), args[0])
			fmt.Fprint(cmd.OutOrStdout(), log)
			return err
		},
	}
}

func jobs(client *simulator.Client) *cobra.Command {
	var states []string
	command := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted := make([]simulator.State, 0, len(states))
			for _, state := range states {
				wanted = append(wanted, simulator.State(state))
			}
			listed, err := client.Jobs(cmd.Context(), wanted...)
			for _, job := range listed {
				fmt.Fprintln(cmd.OutOrStdout(), describe(job))
			}
			return err
		},
	}
	command.Flags().StringSliceVar(&states, "state", nil, "only jobs in these states")
	return command
}

func oracle(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "oracle",
		Short: "Say whether every job was acquired and finished once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := client.Oracle(cmd.Context())
			if err != nil {
				return err
			}
			for _, violation := range report.Violations {
				fmt.Fprintln(cmd.OutOrStdout(), violation)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d jobs, %d violations, %d taken and not ended\n",
				len(report.Records), len(report.Violations), len(report.Unfinished))
			if len(report.Violations) > 0 {
				return errors.New("the oracle has seen violations")
			}
			return nil
		},
	}
}

func repository(client *simulator.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "repository NAME DIRECTORY",
		Short: "Serve the files of a directory as a Git repository",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := client.CreateRepositoryFrom(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", made.URL, made.Commit)
			return nil
		},
	}
}

func queue(client *simulator.Client) *cobra.Command {
	var cluster string
	command := &cobra.Command{
		Use:       "queue KEY pause|resume",
		Short:     "Pause or resume dispatch of a queue",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"pause", "resume"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "pause" && args[1] != "resume" {
				return fmt.Errorf("want pause or resume, have %q", args[1])
			}
			_, err := client.SetQueuePaused(cmd.Context(), cluster, args[0], args[1] == "pause")
			return err
		},
	}
	command.Flags().StringVar(&cluster, "cluster", "", "name or UUID of the cluster (default: the first)")
	return command
}

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

func build(client *simulator.Client) *cobra.Command {
	var request simulator.BuildRequest
	var file string
	var wait bool
	command := &cobra.Command{
		Use:   "build -f pipeline.yml",
		Short: "Make a build of a pipeline.yml",
		Long:  "Make a build of a pipeline.yml and print its address. With --wait follow its jobs; the exit status is 0 only if it passes.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := readFile(cmd.InOrStdin(), file)
			if err != nil {
				return fmt.Errorf("read pipeline: %w", err)
			}
			request.Pipeline = string(text)
			made, err := client.CreateBuild(cmd.Context(), request)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.URL)
			if !wait {
				return nil
			}
			return follow(cmd, client, made)
		},
	}
	flags := command.Flags()
	flags.StringVarP(&file, "file", "f", "", "the pipeline.yml; - is standard input (required)")
	flags.BoolVar(&wait, "wait", false, "follow the build until it ends")
	flags.BoolVar(&request.Interpolate, "interpolate", false, "replace variables in the file from --env, as `pipeline upload` does")
	flags.StringVar(&request.Slug, "pipeline", "pipeline", "slug of the pipeline")
	flags.StringVar(&request.Cluster, "cluster", "", "name or UUID of the cluster; none is outside clusters (default: the first)")
	flags.StringVar(&request.Repository, "repository", "", "Git URL, or the name of a repository that the simulator serves")
	flags.StringVar(&request.Branch, "branch", "main", "branch")
	flags.StringVar(&request.Commit, "commit", "HEAD", "commit")
	flags.StringVar(&request.Message, "message", "", "message")
	flags.StringToStringVar(&request.Env, "env", nil, "KEY=value for the build")
	flags.StringToStringVar(&request.MetaData, "meta-data", nil, "KEY=value of the build's meta-data")
	_ = command.MarkFlagRequired("file")
	return command
}

func readFile(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// follow prints a line for every change of a job's state.
func follow(cmd *cobra.Command, client *simulator.Client, made simulator.Build) error {
	seen := map[string]simulator.State{}
	ended, err := client.WaitForBuild(cmd.Context(), made.UUID, func(now simulator.Build) {
		for _, job := range now.Commands() {
			if seen[job.UUID] != job.State {
				seen[job.UUID] = job.State
				fmt.Fprintln(cmd.OutOrStdout(), describe(job))
			}
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "build %s\n", ended.State)
	if ended.State != "passed" {
		return errNotPassed
	}
	return nil
}

func describe(job simulator.Job) string {
	line := fmt.Sprintf("%s  %-14s", job.UUID, job.State)
	name := job.Label
	if name == "" {
		name = job.Command
	}
	line += " " + fmt.Sprintf("%.60q", name)
	if job.ExitStatus != nil {
		line += fmt.Sprintf(" exit %d", *job.ExitStatus)
	}
	if job.SignalReason != "" {
		line += " " + job.SignalReason
	}
	return line
}

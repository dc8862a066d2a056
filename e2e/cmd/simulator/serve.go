package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

func serve() *cobra.Command {
	var options simulator.Options
	var listen string
	var debug, limits bool
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the simulator until it is interrupted",
		Long: "Run the simulator until it is interrupted. Everything is kept in memory.\n" +
			"Its own API under /simulator/ asks for no token: listen only where those who may use it are.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.PublicURL == "" {
				options.PublicURL = "http://" + listen
			}
			if limits {
				options.Limits = simulator.PublishedLimits()
			}
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			options.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			return run(cmd.Context(), listen, options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&listen, "listen", defaultAddress, "address to listen on")
	flags.StringVar(&options.PublicURL, "public-url", "", "address where agents and pods reach it (default http:// and --listen)")
	flags.StringSliceVar(&options.AgentTokens, "agent-token", []string{"agent-token"}, "token that agents of the cluster register with")
	flags.StringSliceVar(&options.UnclusteredAgentTokens, "unclustered-agent-token", nil, "token of agents outside clusters")
	flags.StringSliceVar(&options.GraphQLTokens, "graphql-token", []string{"graphql-token"}, "token that GraphQL takes; each is a user's")
	flags.BoolVar(&limits, "limits", false, "limit GraphQL as Buildkite does: 5,000 points a user and 20,000 in all in five minutes")
	flags.BoolVar(&options.Unclustered, "unclustered", false, "be an organization without clusters")
	flags.DurationVar(&options.ScheduledExpiry, "scheduled-expiry", 30*24*time.Hour, "how long a job may wait for an agent before it expires")
	flags.StringVar(&options.Organization, "organization", "example", "slug of the organization")
	flags.StringVar(&options.Cluster, "cluster", "default", "name of the first cluster")
	flags.StringVar(&options.DefaultQueue, "default-queue", "default", "queue of jobs that name none")
	flags.DurationVar(&options.HeartbeatTimeout, "heartbeat-timeout", 180*time.Second, "how long an agent may be silent before it is lost")
	flags.DurationVar(&options.CancelGrace, "cancel-grace", time.Minute, "how long a canceled job may take to end")
	flags.DurationVar(&options.PingInterval, "ping-interval", time.Second, "what agents are told, in whole seconds")
	flags.DurationVar(&options.JobStatusInterval, "job-status-interval", time.Second, "what agents are told, in whole seconds")
	flags.DurationVar(&options.HeartbeatInterval, "heartbeat-interval", 10*time.Second, "what agents are told, in whole seconds")
	flags.StringToStringVar(&options.Secrets, "secret", nil, "KEY=value that `buildkite-agent secret get` finds")
	flags.StringVar(&options.Directory, "directory", "", "where Git repositories are kept (default: a temporary directory)")
	flags.BoolVar(&debug, "debug", false, "log every request, not only refused ones")
	return command
}

func run(ctx context.Context, listen string, options simulator.Options) error {
	sim, err := simulator.New(options)
	if err != nil {
		return err
	}
	defer sim.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s; is the address taken, or not this machine's? %w", listen, err)
	}
	fmt.Printf("page       %s/\nGraphQL    %s/graphql\nAgent API  %s/v3\nrepos      %s/git/NAME.git\norg        %s\n",
		options.PublicURL, options.PublicURL, options.PublicURL, options.PublicURL, sim.Store().Organization().Slug)
	for _, cluster := range sim.Store().Clusters() {
		fmt.Printf("cluster    %s %s\n", cluster.Name, cluster.UUID)
	}

	server := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

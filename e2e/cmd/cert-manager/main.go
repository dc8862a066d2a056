// Command cert-manager is cert-manager's controllers for issuers that need nothing
// outside of the cluster (CA and self-signed), and its cainjector, in one program.
// It has no webhook and no leader election: one process of it runs beside a local
// cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cert-manager: %v\n", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	kubeconfig string
	readyFile  string
	namespace  string
}

func command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:           "cert-manager",
		Short:         "cert-manager's CA and self-signed issuers, and its cainjector",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.Flags().StringVar(&o.kubeconfig, "kubeconfig", "", "path of the kubeconfig (default: KUBECONFIG, then ~/.kube/config)")
	c.Flags().StringVar(&o.readyFile, "ready-file", "", "path of a file to make once everything runs")
	c.Flags().StringVar(&o.namespace, "cluster-resource-namespace", "cert-manager", "namespace of the Secrets that a ClusterIssuer names")
	c.RunE = func(c *cobra.Command, _ []string) error { return run(c.Context(), o) }
	return c
}

func run(ctx context.Context, o options) error {
	logger := textlogger.NewLogger(textlogger.NewConfig())
	klog.SetLogger(logger)
	ctrl.SetLogger(logger)
	ctx = logr.NewContext(ctx, logger)
	controllers, err := newControllers(ctx, o)
	if err != nil {
		return err
	}
	injector, err := newInjector(ctx, o.kubeconfig)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return controllers.run(ctx) })
	group.Go(func() error { return injector.run(ctx) })
	group.Go(func() error {
		if !controllers.synced(ctx) || !injector.synced(ctx) {
			return nil // stopped before
		}
		return announce(o.readyFile)
	})
	return group.Wait()
}

// announce makes the file that says that everything runs.
func announce(path string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return fmt.Errorf("say that cert-manager is ready: %w", err)
	}
	return nil
}

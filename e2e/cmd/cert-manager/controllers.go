package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"golang.org/x/sync/errgroup"

	// Each registers itself: the steps of a certificate, the kinds of requests,
	// and the issuers.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// controllers are all that registered.
type controllers struct {
	context *controller.Context
	each    map[string]controller.Interface
}

// How long to wait after a failed request for a certificate; cert-manager's own
// defaults, which its library leaves to the program.
const (
	minimumBackoff = time.Hour
	maximumBackoff = 32 * time.Hour
)

func newControllers(ctx context.Context, o options) (*controllers, error) {
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         o.kubeconfig,
		KubernetesAPIQPS:   50,
		KubernetesAPIBurst: 100,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: o.namespace},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: minimumBackoff,
			CertificateRequestMaximumBackoffDuration: maximumBackoff,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	c := &controllers{each: map[string]controller.Interface{}}
	for name, construct := range controller.Known() {
		if c.each[name], err = construct(factory); err != nil {
			return nil, fmt.Errorf("make controller %s: %w", name, err)
		}
	}
	if c.context, err = factory.Build(); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return c, nil
}

// run works until the context ends or a controller fails.
func (c *controllers) run(ctx context.Context) error {
	const workers = 5
	c.context.SharedInformerFactory.Start(ctx.Done())
	c.context.KubeSharedInformerFactory.Start(ctx.Done())
	group, ctx := errgroup.WithContext(ctx)
	for name, one := range c.each {
		group.Go(func() error {
			if err := one.Run(workers, ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("run controller %s: %w", name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// synced waits until the controllers know the cluster; false when the context
// ended before.
func (c *controllers) synced(ctx context.Context) bool {
	for _, synced := range c.context.SharedInformerFactory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return false
		}
	}
	for _, synced := range c.context.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return false
		}
	}
	return true
}

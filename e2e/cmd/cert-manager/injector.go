package main

import (
	"context"
	"fmt"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	"github.com/cert-manager/cert-manager/pkg/util"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// injector is the cainjector: it puts authorities into webhook configurations.
type injector struct{ manager ctrl.Manager }

func newInjector(ctx context.Context, kubeconfig string) (injector, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return injector{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	known := runtime.NewScheme()
	adders := runtime.SchemeBuilder{scheme.AddToScheme, certmanager.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme}
	if err := adders.AddToScheme(known); err != nil {
		return injector{}, fmt.Errorf("list the cainjector's resources: %w", err)
	}
	manager, err := ctrl.NewManager(
		// The name in the user agent becomes the field manager.
		util.RestConfigWithUserAgent(config, "cainjector"),
		ctrl.Options{
			Scheme:  known,
			Metrics: metricsserver.Options{BindAddress: "0"},
			// Only the metadata of Secrets is watched; a cached client would watch
			// their content too, and read one before the other arrives.
			Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		})
	if err != nil {
		return injector{}, fmt.Errorf("make the cainjector: %w", err)
	}
	err = cainjector.RegisterAllInjectors(ctx, manager, cainjector.SetupOptions{
		EnableCertificatesDataSource: true,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   true,
			cainjector.ValidatingWebhookConfigurationName: true,
			cainjector.APIServiceName:                     true,
			cainjector.CustomResourceDefinitionName:       true,
		},
	})
	if err != nil {
		return injector{}, fmt.Errorf("make the cainjector: %w", err)
	}
	return injector{manager}, nil
}

func (i injector) run(ctx context.Context) error {
	if err := i.manager.Start(ctx); err != nil {
		return fmt.Errorf("run the cainjector: %w", err)
	}
	return nil
}

// synced waits until the cainjector knows the cluster; false when the context
// ended before.
func (i injector) synced(ctx context.Context) bool {
	select {
	case <-i.manager.Elected(): // without an election: started
	case <-ctx.Done():
		return false
	}
	return i.manager.GetCache().WaitForCacheSync(ctx)
}

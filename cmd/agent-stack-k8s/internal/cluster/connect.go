package cluster

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Flags are the options of every command that needs a cluster.
type Flags struct {
	// Kubeconfig is a file; empty leaves it to KUBECONFIG and ~/.kube/config, and
	// without these to the cluster that the program runs in.
	Kubeconfig string
	// Context is one in it; empty is its current one.
	Context string
}

// Add defines the flags.
func (f *Flags) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig `FILE` (default: $KUBECONFIG, else ~/.kube/config)")
	flags.StringVar(&f.Context, "context", "", "kubeconfig `CONTEXT` (default: the current one)")
}

// Connect makes a client. It asks the cluster for nothing yet.
func (f *Flags) Connect() (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context})
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) && f.Kubeconfig == "" && f.Context == "" {
		if config, err = rest.InClusterConfig(); errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("there is no kubeconfig: name one with --kubeconfig or $KUBECONFIG")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.UserAgent = "agent-stack-k8s"
	client, err := New(config)
	if err != nil {
		return nil, err
	}
	if raw, err := loader.RawConfig(); err == nil {
		client.Context = cmp.Or(f.Context, raw.CurrentContext)
	}
	if client.Namespace, _, err = loader.Namespace(); err != nil {
		client.Namespace = "default"
	}
	return client, nil
}

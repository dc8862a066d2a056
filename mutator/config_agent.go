package mutator

import "k8s.io/apimachinery/pkg/util/validation/field"

// AgentConfig is how the agents run.
type AgentConfig struct{}

func (c AgentConfig) validate(*field.Path) field.ErrorList { return nil }

// ProxyConfig is how the agents, git and the jobs reach the network.
type ProxyConfig struct{}

func (c ProxyConfig) validate(*field.Path) field.ErrorList { return nil }

// CABundleConfig names a ConfigMap with the certificate authorities to trust.
type CABundleConfig struct{}

func (c *CABundleConfig) validate(*field.Path) field.ErrorList { return nil }

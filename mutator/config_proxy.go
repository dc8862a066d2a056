package mutator

import (
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ProxyConfig is how the agents, git and the jobs reach the network. It becomes
// variables of the agent, checkout and job containers.
type ProxyConfig struct {
	// HTTPProxy and HTTPSProxy are URLs of proxies for requests of http and
	// https.
	HTTPProxy  string `json:"httpProxy,omitempty"`
	HTTPSProxy string `json:"httpsProxy,omitempty"`
	// NoProxy are the hosts, domains and networks to reach without a proxy, with
	// commas between them.
	NoProxy string `json:"noProxy,omitempty"`
}

func (c ProxyConfig) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, proxy := range []struct{ name, value string }{{"httpProxy", c.HTTPProxy}, {"httpsProxy", c.HTTPSProxy}} {
		if proxy.value == "" {
			continue
		}
		parsed, err := url.Parse(proxy.value)
		if err != nil || parsed.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, parsed.Scheme) {
			// Without the value: it may have a password.
			errs = append(errs, invalid(at.Child(proxy.name), "want a URL such as http://proxy.example.com:3128"))
		}
	}
	return errs
}

// proxyVariable is a variable in both cases: there is no agreement on which of
// them programs read.
type proxyVariable struct{ upper, lower, value string }

func (c ProxyConfig) all() []proxyVariable {
	return []proxyVariable{
		{"HTTP_PROXY", "http_proxy", c.HTTPProxy},
		{"HTTPS_PROXY", "https_proxy", c.HTTPSProxy},
		{"NO_PROXY", "no_proxy", c.NoProxy},
	}
}

// in reports whether a container sets the variable in one of the two cases, and
// so has chosen.
func (p proxyVariable) in(own []corev1.EnvVar) bool {
	return setsVariable(own, p.upper) || setsVariable(own, p.lower)
}

// variables are the proxy's for a container with variables of its own.
func (c ProxyConfig) variables(own []corev1.EnvVar) []corev1.EnvVar {
	var variables []corev1.EnvVar
	for _, proxy := range c.all() {
		if proxy.value != "" && !proxy.in(own) {
			variables = append(variables, env(proxy.upper, literal(proxy.value)), env(proxy.lower, literal(proxy.value)))
		}
	}
	return variables
}

// chosen are the names of the variables that a container has chosen for itself.
func (c ProxyConfig) chosen(own []corev1.EnvVar) []string {
	var names []string
	for _, proxy := range c.all() {
		if proxy.value != "" && proxy.in(own) {
			names = append(names, proxy.upper, proxy.lower)
		}
	}
	return names
}

// isNetworkVariable reports whether a variable is of a proxy or of a bundle of
// certificate authorities.
func isNetworkVariable(name string) bool {
	isProxy := slices.ContainsFunc(ProxyConfig{}.all(), func(proxy proxyVariable) bool { return name == proxy.upper || name == proxy.lower })
	return isProxy || slices.Contains(caVariables, name)
}

func setsVariable(variables []corev1.EnvVar, name string) bool {
	return slices.ContainsFunc(variables, func(variable corev1.EnvVar) bool { return variable.Name == name })
}

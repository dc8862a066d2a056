//go:build linux

package main

import "testing"

// TestOwnVariables: a command has the variables that its container sets, even if
// the agent sends others, and none where the container has none. The others are
// the agent's.
func TestOwnVariables(t *testing.T) {
	const script = `echo "[$https_proxy] [${HTTPS_PROXY-unset}] [$NO_PROXY] [$(env | grep -c ^BUILDKITE_OWN_ || :)]"`
	cases := map[string]struct {
		options []string
		want    string
	}{
		"script":         {[]string{"--interposer=buildkite", "--commands=1", "--", script}, "[http://own $x] [unset] [agent's] [0]"},
		"vector":         {[]string{"--interposer=vector", "--", "/bin/sh", "-ec", script}, "[http://own $x] [unset] [agent's] [0]"},
		"in a directory": {[]string{"--working-directory=/", "--interposer=buildkite", "--commands=1", "--", script}, "[http://own $x] [unset] [agent's] [0]"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			p.jobEnv["https_proxy"], p.jobEnv["HTTPS_PROXY"], p.jobEnv["NO_PROXY"] = "agent's", "agent's", "agent's"
			checkout := p.startCheckout("true")
			arguments := append([]string{"run", "--id=1", "--own-variables=https_proxy,HTTPS_PROXY"}, tc.options...)
			job := p.startCommand(arguments, "https_proxy=http://own $x", "NO_PROXY=own")
			p.startAgent("--containers=2", "--names=checkout,job", uuid).wantStatus(0)
			checkout.wantStatus(0)
			job.wantStatus(0)
			wantInOrder(t, p.result().Log, tc.want)
		})
	}
}

// Package agenttest runs the real buildkite-agent against the simulator. It is a
// package of its own because building the agent takes minutes the first time.
package agenttest

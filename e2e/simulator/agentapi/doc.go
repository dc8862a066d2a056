// Package agentapi is the HTTP that buildkite-agent speaks, under /v3: the
// Buildkite Agent API as far as the agent needs it. It checks which of the three
// kinds of token a request bears, decodes, and asks package state.
package agentapi

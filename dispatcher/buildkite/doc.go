// Package buildkite is the dispatcher's way to Buildkite: the GraphQL API for
// jobs, the Agent API to fail one. Nothing generated leaves it: it speaks in
// the dispatcher's own types.
package buildkite

//go:generate go tool genqlient

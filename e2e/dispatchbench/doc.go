// Package dispatchbench measures what the dispatcher does with many jobs: how fast
// it makes pods beside the fastest that its own client can, what that costs, how
// much memory it takes, and what it pays for in points at Buildkite.
package dispatchbench

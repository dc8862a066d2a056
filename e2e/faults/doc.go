// Package faults has things go wrong around the whole dispatcher, in simulated
// time: Buildkite is the simulator, with its script of faults, the cluster a small
// API server in memory behind the real client. Each test shows that the fault has
// happened. docs/faults.md lists what they show.
package faults

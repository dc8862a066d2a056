// Package startbench measures how long a trivial job takes from its pod's
// creation to its end, in pods of several shapes, side by side on one cluster.
//
// Buildkite and the Git server run on the same machine and answer at once, unless
// there is to be a latency. It decides more than its own length for the existing
// stack's pod, in which the containers find each other by looking once a second: the
// checkout begins some 80 ms after the agent, and if Buildkite answers at once the
// agent has its socket by then. With 20 ms for each answer it has not, and the
// checkout looks again a second later.
package startbench

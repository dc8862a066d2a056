// Package mutator turns a labelled pod into a Buildkite job runner.
//
// It is a pure function of the pod and the platform's configuration: it knows
// no clock, log, network, file or cluster, and the same input gives the same
// output. Parse reads everything a user wrote into a Plan; a fixed list of
// steps carries the Plan out; the Plan is recorded on the pod as a receipt, so
// that a second admission of the pod, perhaps by a replica with another
// configuration, confirms what the first one did.
package mutator

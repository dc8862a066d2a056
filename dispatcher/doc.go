// Package dispatcher turns scheduled Buildkite jobs into Kubernetes pods.
//
// It asks a Source for jobs, makes one small labelled and gated pod of each,
// submits as many as its capacity allows, deletes pods that are done or no
// longer wanted, and lets a Failer tell Buildkite why a job cannot run. What a
// job's pod becomes is the mutator's business: of the mutator, this package
// knows the contract's names alone.
//
// The cluster is the database. A pod's name follows from its job's UUID, so a
// dispatcher that is killed at any point, or started twice, loses and doubles
// nothing.
package dispatcher

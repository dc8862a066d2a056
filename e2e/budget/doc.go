// Package budget holds the dispatcher's source against Buildkite's limits as the
// simulator counts them: in simulated time, so that hours take seconds.
package budget

// Package fault spoils answers of Buildkite's APIs on purpose, by a script that
// tests push while the simulator runs. Every fault counts what it did, so that a
// test can prove that what it defends against has happened.
package fault

// Package pipeline reads a Buildkite pipeline.yml into the steps that the
// simulator makes jobs of. It knows no builds, jobs or network. What it does
// not understand it refuses by name, because a key that is silently ignored
// makes a test prove something else than it says.
package pipeline

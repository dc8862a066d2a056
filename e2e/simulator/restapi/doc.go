// Package restapi serves the little of Buildkite's REST API that GraphQL does
// not have: annotations can be removed here, and an organization's rate limits
// be read.
package restapi

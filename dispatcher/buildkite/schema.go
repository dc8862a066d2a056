package buildkite

import _ "embed" // for Schema

// Schema is the part of Buildkite's GraphQL schema that this project speaks, in
// GraphQL's schema language. It is exported for the simulator, which serves it.
//
//go:embed schema.graphql
var Schema string

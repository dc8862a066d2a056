// Package graphqlapi serves the part of Buildkite's GraphQL API that the project
// uses, from the same schema file as the dispatcher's queries are written
// against. A library parses, validates and executes; here are only resolvers.
package graphqlapi

// Package openapi holds what this product publishes about Kubernetes' types
// against Kubernetes' own OpenAPI. It has tests only.
package openapi

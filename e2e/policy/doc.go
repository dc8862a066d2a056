// Package policy holds the validating admission policies of the manifests
// against pods, with the API server's own compiler and evaluator. It needs no
// cluster.
package policy

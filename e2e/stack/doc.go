// Package stack puts the product on a cluster the way its users do: with
// kubectl apply -k of an overlay over manifests/.
package stack

// Package build compiles every program that the local cluster, the demo and the
// end-to-end tests run: Kubernetes, containerd, the Buildkite agent, cert-manager
// and the product itself. All of them compile from the e2e module, in one build
// cache, so that a package they share is compiled once.
//
// A program is kept under a key of everything that decides what it is: its
// sources in this repository, go.mod and go.sum, the Go version, flags and
// platform. What is there under its key is never built again, and what is not
// complete is never there.
package build

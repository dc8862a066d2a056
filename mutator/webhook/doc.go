// Package webhook serves the mutator to Kubernetes: admission reviews over
// TLS, health and metrics. It has no access to any API.
package webhook

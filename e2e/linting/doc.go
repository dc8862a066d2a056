// Package linting compares `agent-stack-k8s lint` with Kubernetes' own validation
// of pods, in one process and so on thousands of them. A test in endtoend compares
// it with a real API server. This package has tests only.
package linting

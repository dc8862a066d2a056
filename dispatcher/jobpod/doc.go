// Package jobpod makes the pod of a Buildkite job: a pure function of the job
// and the dispatcher's settings. It links no Kubernetes client, so that the
// command line can render pods with it.
package jobpod

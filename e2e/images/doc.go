// Package images makes the container images of the local cluster, the demo and
// the end-to-end tests, without Docker, and pushes them to a registry.
//
// An image's tag is a key of everything it is made from, so an image that a
// registry has under its tag is the right one. Images stay in an OCI layout on
// disk: a registry that lost them gets them back without building.
package images

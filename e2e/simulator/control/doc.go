// Package control is the HTTP by which tests, the demo and the command line
// steer the simulator and ask what happened: /simulator/*. Buildkite has no such
// thing. It asks for no token: whoever reaches the simulator may use it.
package control

// Package testbed is what tests of load need around a dispatcher: a control plane
// with simulated nodes, the simulator in Buildkite's place, and a stand-in for the
// agents, since the pods of simulated nodes run nothing.
//
// The stand-in watches the job pods. When a pod's containers have started it
// registers as an agent with the agent's own library, acquires the job, starts
// and finishes it, and then writes into the pod's status what a kubelet would:
// that its containers have ended, with the agent's exit status.
package testbed

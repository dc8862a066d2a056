// Package simulator stands in for Buildkite: GraphQL, the Agent API, artifact
// storage and Git over HTTP, with an oracle that knows what happened to every
// job, a control API and a page to look at. It keeps everything in memory.
//
//	sim, err := simulator.New(simulator.Options{PublicURL: "http://127.0.0.1:8020"})
//	http.Serve(listener, sim.Handler())
//	build, err := sim.CreateBuild(simulator.BuildRequest{Pipeline: "steps: [{command: make}]"})
//
// Buildkite's limits on GraphQL queries are off unless Options.Limits sets them;
// points are counted in any case. Whatever Buildkite or the network may do wrong,
// package fault does when a test asks for it:
//
//	faults, err := client.AddFaults(ctx, simulator.Fault{API: "graphql", Operation: "scheduled*", Kind: "status", Status: 502, Count: 5})
//	_, err = client.WaitForFault(ctx, faults[0].ID, 5) // it has happened
//
// Its first client is the real buildkite-agent; see package agenttest.
package simulator

// Package simulator stands in for Buildkite: GraphQL, the Agent API, artifact
// storage and Git over HTTP, with an oracle that knows what happened to every
// job, a control API and a page to look at. It keeps everything in memory.
//
//	sim, err := simulator.New(simulator.Options{PublicURL: "http://127.0.0.1:8020"})
//	http.Serve(listener, sim.Handler())
//	build, err := sim.CreateBuild(simulator.BuildRequest{Pipeline: "steps: [{command: make}]"})
//
// Its first client is the real buildkite-agent; see package agenttest.
package simulator

// Package state is what the simulator knows: organization, clusters, queues,
// builds, jobs, agents, logs, artifacts, and who did what to which job. It holds
// the job state machine and no HTTP. One mutex guards everything; what it hands
// out are copies, whose maps and slices are not to be changed.
package state

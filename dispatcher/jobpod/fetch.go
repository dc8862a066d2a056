package jobpod

import "regexp"

// fullCommit is a commit's whole name, of SHA-1 or SHA-256.
var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// wantsOnlyCommit says whether a clone that has the job's commit has all that the
// job's checkout would fetch. It has not if the job names its commit by something that
// moves, such as HEAD, asks for references of its own, or for the merge of a pull
// request, which is tried by fetching it. The agent's variables are those of
// internal/job/config.go of github.com/buildkite/agent v3.138.1.
func wantsOnlyCommit(job Job) bool {
	merge := job.Lookup("BUILDKITE_PULL_REQUEST_USING_MERGE_REFSPEC")
	return fullCommit.MatchString(job.Lookup("BUILDKITE_COMMIT")) &&
		job.Lookup("BUILDKITE_REFSPEC") == "" &&
		job.Lookup("BUILDKITE_GIT_FETCH_FLAGS") == "" &&
		(merge == "" || merge == "false")
}

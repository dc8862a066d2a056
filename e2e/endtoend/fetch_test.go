package endtoend

import (
	"strings"
	"testing"
)

// TestCloneThatHasTheCommit: the Git server is asked once where that is enough, and
// the checkout is of the commit wherever it comes from.
func TestCloneThatHasTheCommit(t *testing.T) {
	t.Parallel()
	const skipped = "already exists locally, skipping fetch"
	address, commit, _ := strings.Cut(repository(t, "two-commits", map[string]string{"first": ""}), "#")
	repository(t, "two-commits", map[string]string{"second": ""})
	const steps = `
steps:
  - label: enough
    command: &command |
      echo "$(git rev-parse HEAD): $(ls)"
      test -e .git/FETCH_HEAD && echo "fetched" || echo "not fetched"
  - label: against it
    env: {BUILDKITE_GIT_SKIP_FETCH_EXISTING_COMMITS: "false"}
    command: *command
  - label: not in the clone
    plugins: [{kubernetes: {checkout: {cloneFlags: -v --depth 1}}}]
    command: *command
  - label: more to fetch
    plugins: [{kubernetes: {checkout: {fetchFlags: -v --prune}}}]
    command: *command
`
	b := startWith(t, buildOptions{repository: address, commit: commit}, steps)
	b.passes(t)
	b.job(t, "enough").logs(t, skipped, "\n"+commit+": first\n", "\nnot fetched\n")
	for _, label := range []string{"against it", "not in the clone", "more to fetch"} {
		log := b.job(t, label).logs(t, "\n"+commit+": first\n", "\nfetched\n")
		if strings.Contains(log, skipped) {
			t.Errorf("%s: nothing was fetched:\n%s", label, log)
		}
	}

	b = startWith(t, buildOptions{repository: address}, "steps: [{label: newest, command: ls; test -e .git/FETCH_HEAD}]\n")
	b.passes(t)
	b.job(t, "newest").logs(t, "\nsecond\n")
}

package endtoend

import (
	"testing"
	"time"
)

// Each of these dispatchers goes on running, says what is wrong once and what
// to do, and does not print its tokens.
func TestDispatcherInTrouble(t *testing.T) {
	for name, tc := range map[string]struct {
		arguments []string
		want      []string
	}{
		"UnknownOrganization":  {[]string{"--org=nobody"}, []string{"level=ERROR", "nobody", "organization"}},
		"BadToken":             {[]string{"--buildkite-token=not-a-token"}, []string{"level=ERROR", "refuses the API token"}},
		"UnreachableBuildkite": {[]string{"--graphql-endpoint=http://" + nodeIP + ":1/graphql"}, []string{"level=ERROR", "cannot reach", nodeIP + ":1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDispatcher(t, append([]string{"--queue=trouble", "--controller-id=trouble"}, tc.arguments...)...)
			defer d.stop()
			d.waitOutput(t, 20*time.Second, tc.want...)
			time.Sleep(3 * time.Second)
			if !d.running() {
				t.Fatalf("the dispatcher ended:\n%s", d.output())
			}
			d.lacks(t, "not-a-token", graphqlToken, agentToken)
		})
	}
}

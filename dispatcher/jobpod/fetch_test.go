package jobpod

import "testing"

func TestWantsOnlyCommit(t *testing.T) {
	const commit = "BUILDKITE_COMMIT=0123456789abcdef0123456789abcdef01234567"
	cases := map[string]struct {
		env  []string
		want bool
	}{
		"a commit":                        {[]string{commit}, true},
		"a commit of SHA-256":             {[]string{commit + "0123456789abcdef01234567"}, true},
		"nothing":                         {nil, false},
		"a branch's newest":               {[]string{"BUILDKITE_COMMIT=HEAD"}, false},
		"a short commit":                  {[]string{"BUILDKITE_COMMIT=0123456"}, false},
		"references":                      {[]string{commit, "BUILDKITE_REFSPEC=refs/changes/1"}, false},
		"flags":                           {[]string{commit, "BUILDKITE_GIT_FETCH_FLAGS=--tags"}, false},
		"a pull request":                  {[]string{commit, "BUILDKITE_PULL_REQUEST=7"}, true},
		"a pull request's own branch":     {[]string{commit, "BUILDKITE_PULL_REQUEST_USING_MERGE_REFSPEC=false"}, true},
		"the merge of a pull request":     {[]string{commit, "BUILDKITE_PULL_REQUEST_USING_MERGE_REFSPEC=true"}, false},
		"the merge, in the agent's words": {[]string{commit, "BUILDKITE_PULL_REQUEST_USING_MERGE_REFSPEC=1"}, false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			if got := wantsOnlyCommit(Job{Env: test.env}); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

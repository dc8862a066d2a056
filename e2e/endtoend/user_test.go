package endtoend

import (
	"fmt"
	"strings"
	"testing"
)

// passOn is what a container does with the checkout that those before it worked
// in: it reads, changes, adds and removes their files and commits.
const passOn = `
set -eu
me=$CONTAINER
git status --short
test "$(cat README.md)" = "# sample"
test ! -e people || cat people
echo "$me" >> people
mkdir -p deep/er
for file in deep/er/*; do test ! -f "$file" || { grep -q . "$file"; echo "$me was here" >> "$file"; }; done
echo "from $me" > "deep/er/$me"
rm -f removed/*
(umask 077; mkdir -p removed; echo "$me" > "removed/$me")
git add --all
git -c user.name="$me" -c user.email="$me@example.com" commit --quiet --message "By $me"
echo "$me is $(id -u), after $(git log --format=%s | grep -c '^By ') commits"
`

// userChain is a step whose containers run one after the other, each in the
// security context given.
func userChain(podContext string, contexts ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `
steps:
  - label: chain
    plugins:
      - kubernetes:
          podSpec:
            securityContext: {%s}
            containers:`, podContext)
	for i, context := range contexts {
		fmt.Fprintf(&text, `
              - image: @GIT@
                securityContext: {%s}
                env: [{name: CONTAINER, value: container-%d}]
                command:
                  - |
%s`, context, i, indented(passOn))
	}
	return text.String()
}

func TestContainersOfSeveralUsers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pod      string
		contexts []string
		users    []string
	}{
		"FromRoot": {contexts: []string{"runAsUser: 0", "runAsUser: 1000", "runAsUser: 2000", "runAsUser: 0"}, users: []string{"0", "1000", "2000", "0"}},
		"ToRoot":   {contexts: []string{"runAsUser: 1000", "runAsUser: 0"}, users: []string{"1000", "0"}},
		// Root that may not do what root may: no other's file is its own.
		"ToPowerlessRoot": {contexts: []string{"runAsUser: 1000", "runAsUser: 0, capabilities: {drop: [ALL]}", "runAsUser: 1000"}, users: []string{"1000", "0", "1000"}},
		// The second user is the image's, which nobody knows at admission.
		"FromTheImage": {contexts: []string{"runAsUser: 2000", ""}, users: []string{"2000", "1000"}},
		"WithoutRoot":  {pod: "runAsUser: 3000, runAsNonRoot: true", contexts: []string{"runAsUser: 1000", "runAsUser: 2000"}, users: []string{"1000", "2000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, userChain(tc.pod, tc.contexts...))
			b.passes(t)
			var wanted []string
			for i, user := range tc.users {
				wanted = append(wanted, fmt.Sprintf("\ncontainer-%d is %s, after %d commits\n", i, user, i+1))
			}
			b.job(t, "chain").logs(t, wanted...)
		})
	}
}

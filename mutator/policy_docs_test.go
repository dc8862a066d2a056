package mutator

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestPolicyDocs: the page about security has a row for every key of the policy,
// and each default list is what it says.
func TestPolicyDocs(t *testing.T) {
	_, section, found := strings.Cut(readFile(t, "../docs/security.md"), "## The policy")
	if !found {
		t.Fatal("docs/security.md has no section on the policy")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows strings.Builder
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			rows.WriteString(line)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fieldsOf(reflect.ValueOf(&Policy{}).Elem()))) {
		if !strings.Contains(rows.String(), "`"+key+"`") && !strings.Contains(rows.String(), "`"+key+".") {
			t.Errorf("no row for %s", key)
		}
	}
	for _, list := range []PolicyList{defaultServiceAccounts, {Deny: defaultTolerations.Deny}, {Deny: defaultPriorityClasses.Deny}, defaultFinalizers} {
		for _, pattern := range slices.Concat(list.Allow, list.Deny) {
			if !strings.Contains(rows.String(), "`"+pattern+"`") {
				t.Errorf("the default %s is not in the table", pattern)
			}
		}
	}
}

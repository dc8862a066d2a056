package buildkite

import (
	"fmt"
	"strings"
)

// aliasedQuery writes a query that selects the same of each of count objects,
// which genqlient's fixed operations cannot have. Objects are looked up by a
// variable of type ID! with the name that alias gives, under which the answer has
// them too. The selection's %s stands for the variable's name.
func aliasedQuery(name string, count int, alias func(int) string, selection string) string {
	var variables, fields strings.Builder
	for i := range count {
		fmt.Fprintf(&variables, " $%s: ID!", alias(i))
		fmt.Fprintf(&fields, "  %s: %s\n", alias(i), fmt.Sprintf(selection, alias(i)))
	}
	return "query " + name + "(" + strings.TrimSpace(variables.String()) + ") {\n" + fields.String() + "}\n"
}

package interpose

import (
	"os"
	"strings"
)

// ownPrefix precedes the name of a variable that is kept for the container's own
// command. The agent sends its environment to every container, where it wins;
// what it has under other names stays.
const ownPrefix = "BUILDKITE_OWN_"

// Keep returns copies of a container's own variables of these names, to add to
// the environment of the agent's client. Shell and the exec subcommand bring
// them back.
func Keep(environment, names []string) []string {
	var copies []string
	for _, name := range names {
		for _, variable := range environment {
			if strings.HasPrefix(variable, name+"=") {
				copies = append(copies, ownPrefix+variable)
			}
		}
	}

	return copies
}

// restore sets variables to what the container has, which may be nothing.
func restore(names []string) {
	for _, name := range names {
		value, own := os.LookupEnv(ownPrefix + name)
		os.Unsetenv(ownPrefix + name)
		if own {
			os.Setenv(name, value)
		} else {
			os.Unsetenv(name)
		}
	}
}

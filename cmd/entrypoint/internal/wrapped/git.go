//go:build linux

package wrapped

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Git takes configuration from two sets of variables. The documented one, a count
// and that many keys and values, can be given only once: a job or a hook that uses
// it hides what the container had, since the job's environment wins. The other is
// what `git -c` hands to the commands that Git starts, and adds to the first; it
// is older, too. What a container brings therefore goes there.
const (
	gitParameters  = "GIT_CONFIG_PARAMETERS"
	gitCount       = "GIT_CONFIG_COUNT"
	gitKeyPrefix   = "GIT_CONFIG_KEY_"
	gitValuePrefix = "GIT_CONFIG_VALUE_"
)

// tellGit lets Git work in a checkout that another user owns, as the checkout
// container's may be, and keeps what the container tells Git from being hidden by
// what the job does. If the pod has several users, a file's time of change says
// nothing: opening it to the next user changes that.
func tellGit(environment []string, severalUsers bool) []string {
	var parameters []string
	if own, found := lookup(environment, gitParameters); found && own != "" {
		parameters = append(parameters, own)
	}
	entries, complete := gitEntries(environment)
	if complete {
		for i, entry := range entries {
			parameters = append(parameters, entry.quoted())
			for _, name := range []string{gitKeyPrefix, gitValuePrefix} {
				environment = unset(environment, name+strconv.Itoa(i))
			}
		}
		environment = unset(environment, gitCount)
	}
	parameters = append(parameters, gitEntry{"safe.directory", "*"}.quoted())
	if severalUsers {
		parameters = append(parameters, gitEntry{"core.trustctime", "false"}.quoted())
	}

	return set(environment, gitParameters, strings.Join(parameters, " "))
}

// gitEntry is one setting.
type gitEntry struct{ key, value string }

// gitEntries returns the counted settings. Incomplete ones are left for Git to
// complain about.
func gitEntries(environment []string) (entries []gitEntry, complete bool) {
	text, found := lookup(environment, gitCount)
	count, err := strconv.Atoi(text)
	if !found || err != nil {
		return nil, false
	}
	for i := range count {
		key, hasKey := lookup(environment, gitKeyPrefix+strconv.Itoa(i))
		value, hasValue := lookup(environment, gitValuePrefix+strconv.Itoa(i))
		if !hasKey || !hasValue {
			return nil, false
		}
		entries = append(entries, gitEntry{key, value})
	}

	return entries, true
}

// quoted writes a setting as Git's sq_quote does. With key and value in one word,
// a Git too old for GIT_CONFIG_COUNT takes it as well; a key with an equals sign
// in it needs two.
func (e gitEntry) quoted() string {
	quote := func(word string) string {
		return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(word) + "'"
	}
	if strings.Contains(e.key, "=") {
		return fmt.Sprintf("%s=%s", quote(e.key), quote(e.value))
	}

	return quote(e.key + "=" + e.value)
}

// unset returns an environment without a variable.
func unset(environment []string, name string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool { return strings.HasPrefix(variable, name+"=") })
}

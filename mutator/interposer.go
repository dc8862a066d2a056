package mutator

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Interposer is how a container's command and args become the command that the
// Buildkite agent runs. The mutator chooses it; the entrypoint carries it out,
// because it sees the words after Kubernetes has replaced $(VARIABLE) in them:
// a value put between quotes that were written before it could end them.
type Interposer string

// Interposers.
const (
	// InterposerVector runs exactly the container's argv, without a shell.
	InterposerVector Interposer = contract.InterposerVector
	// InterposerBuildkite runs a shell script: each entry of command is a line;
	// args, quoted, end the last line.
	InterposerBuildkite Interposer = contract.InterposerBuildkite
	// InterposerLegacy runs a shell script: command and args joined by spaces,
	// nothing quoted.
	InterposerLegacy Interposer = contract.InterposerLegacy
)

func (i Interposer) validate(path *field.Path) field.ErrorList {
	choices := []Interposer{InterposerVector, InterposerBuildkite, InterposerLegacy}
	if i == "" || slices.Contains(choices, i) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, i, choices)}
}

// forCommand returns the interposer to use for a command. A shell that is
// called by name is run as it is: as the first line of a script it would start
// interactively and wait for ever.
func (i Interposer) forCommand(command, args []string) Interposer {
	if i == InterposerBuildkite && callsShell(command, args) {
		return InterposerVector
	}
	return i
}

// callsShell reports whether the command is a shell with something to run:
// /bin/sh -c script, bash -euo pipefail -c script, env bash script.sh.
func callsShell(command, args []string) bool {
	if len(command) == 0 {
		return false
	}
	words := slices.Concat(command, args)
	if path.Base(words[0]) == "env" {
		words = words[1:]
	}
	if len(words) < 2 {
		return false
	}
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, path.Base(words[0]))
}

// scriptSize returns how many bytes a command has as the entrypoint gives it to
// the agent: words with separators, each of those that are quoted in single
// quotes.
func (i Interposer) scriptSize(command, args []string) int {
	size := len(command) + len(args) - 1
	for position, word := range slices.Concat(command, args) {
		size += len(word)
		if i == InterposerVector || i == InterposerBuildkite && position >= len(command) {
			size += len("''") + strings.Count(word, "'")*len(`\''`)
		}
	}
	return size
}

// literal protects a value from Kubernetes' $(VARIABLE) expansion.
func literal(value string) string {
	return strings.ReplaceAll(value, "$", "$$")
}

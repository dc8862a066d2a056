package interpose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Interposers, as the mutator's configuration and the kubernetes plugin call
// them: how a container's command and args become what the agent runs.
const (
	// Vector runs exactly these words, without a shell.
	Vector = contract.InterposerVector
	// Buildkite runs a script: each word of command is a line; the args, quoted,
	// end the last one.
	Buildkite = contract.InterposerBuildkite
	// Legacy runs a script: all words joined by spaces, nothing quoted.
	Legacy = contract.InterposerLegacy
)

// defaultShell is the agent's, as the mutator sets it.
const defaultShell = contract.DefaultShell

// Command is a container's own command, once Kubernetes has replaced the
// $(VARIABLE)s in it. The zero value is that of a container without one.
type Command struct {
	Interposer string
	// Words are the container's command and args.
	Words []string
	// Lines is how many of the words come from command. Only Buildkite asks.
	Lines int
}

// Validate returns what is wrong with a command, for whoever wrote the options
// of the entrypoint.
func (c Command) Validate() error {
	choices := []string{Vector, Buildkite, Legacy}
	switch {
	case c.Interposer == "" && len(c.Words) > 0:
		return fmt.Errorf("unexpected argument %q: a command needs an --interposer", c.Words[0])
	case c.Interposer == "":
		return nil
	case !slices.Contains(choices, c.Interposer):
		return fmt.Errorf("--interposer: %q is none of %s", c.Interposer, strings.Join(choices, ", "))
	case len(c.Words) == 0:
		return fmt.Errorf("--interposer=%s: no command follows", c.Interposer)
	case c.Interposer == Buildkite && (c.Lines < 0 || c.Lines > len(c.Words)):
		return fmt.Errorf("--commands: want how many of the %d words are lines of the script", len(c.Words))
	default:
		return nil
	}
}

// Script returns what the agent is to run: BUILDKITE_COMMAND.
func (c Command) Script() string {
	switch c.Interposer {
	case Vector:
		return quoteAll(c.Words)
	case Buildkite:
		script := strings.Join(c.Words[:c.Lines], "\n")
		if c.Lines == len(c.Words) {
			return script
		}

		return strings.TrimPrefix(script+" "+quoteAll(c.Words[c.Lines:]), " ")
	default:
		return strings.Join(c.Words, " ")
	}
}

// Shell returns what the agent is to run it with: BUILDKITE_SHELL, whose words
// the agent starts with the command as their last argument. Empty leaves it as
// it is. The program is this one's path, the directory the container's
// workingDir, and own the container's BUILDKITE_SHELL; each may be empty. The
// variables are names of those that the command has as the container sets them,
// or not at all, whatever the agent sends; see Keep.
func (c Command) Shell(program, directory, own string, variables ...string) string {
	vector := c.Interposer == Vector
	if !vector && directory == "" && len(variables) == 0 {
		return ""
	}
	words := quoteForAgent(program) + " " + contract.EntrypointExec
	if directory != "" {
		words += " " + quoteForAgent("--working-directory="+directory)
	}
	if len(variables) > 0 {
		words += " " + quoteForAgent(ownOption+strings.Join(variables, ","))
	}
	if vector {
		return words
	}
	if strings.TrimSpace(own) == "" {
		own = defaultShell
	}

	return words + " -- " + own
}

// quoteAll writes words so that a POSIX shell, or split, gives exactly them
// back. Every word is quoted: a command that is the name of a file would be run
// as a script by the agent.
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}

	return strings.Join(quoted, " ")
}

// quoteForAgent quotes a word for the agent, which splits its shell into words
// by rules of its own: there a backslash quotes between single quotes too.
// Outside of them it does the same everywhere.
func quoteForAgent(word string) string {
	return "'" + strings.NewReplacer("'", `'\''`, `\`, `'\\'`).Replace(word) + "'"
}

// Package interpose stands between the agent and a container's own command. It
// is given to the agent as the job's shell: it changes to the container's
// working directory, which the runtime must not do before the checkout, and
// becomes the command. Without an interpreter it needs no shell in the image.
package interpose

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
)

const usage = `Usage: entrypoint exec [options] [-- INTERPRETER...] COMMAND

Change to DIR and become COMMAND, the last argument.

  --working-directory=DIR   Where to run it; a relative DIR is relative to the
                            current directory. It must exist.
  --own-variables=A,B,...   Set these variables to what BUILDKITE_OWN_A and so on
                            say, and unset those without one.
  -- INTERPRETER...         Run INTERPRETER with its arguments and COMMAND as the
                            last one, for example "-- /bin/sh -ec". Without it,
                            COMMAND is split into words as a POSIX shell would,
                            quotes and backslashes included, and nothing in it is
                            expanded; the image needs no shell.

Exit status: the command's own; 126 if it is not executable, 127 if it is not
there, 1 if DIR is not or COMMAND cannot be split.
`

// Exit statuses of a shell that cannot run a command.
const (
	notExecutable = 126
	notFound      = 127
)

// exitError is a sentence for the user and the exit status that goes with it.
type exitError struct {
	status   int
	sentence string
}

func (e *exitError) Error() string { return e.sentence }

// Main is the exec subcommand. It returns, with an exit status, only if the
// command could not be run.
func Main(arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 1 && (arguments[0] == "--help" || arguments[0] == "-h") {
		fmt.Fprint(stdout, usage)

		return 0
	}
	err := become(arguments)
	fmt.Fprintf(stderr, "entrypoint: %v\n", err)
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.status
	}

	return 1
}

func become(arguments []string) error {
	directory, own, argv, err := parse(arguments)
	if err != nil {
		return err
	}
	restore(own)
	if directory != "" {
		if err := change(directory); err != nil {
			return err
		}
	}
	path, err := lookup(argv[0])
	if err != nil {
		return err
	}

	return explain(path, syscall.Exec(path, argv, os.Environ()))
}

// Options of the exec subcommand.
const (
	directoryOption = "--working-directory="
	ownOption       = "--own-variables="
)

// parse returns the working directory, if there is one, the names of variables
// to restore, and what to execute. The last argument is the command whatever it
// looks like.
func parse(arguments []string) (directory string, own, argv []string, err error) {
	if len(arguments) == 0 {
		return "", nil, nil, errors.New("exec: there is no command to run; see entrypoint exec --help")
	}
	command := arguments[len(arguments)-1]
	options := arguments[:len(arguments)-1]
	for len(options) > 0 {
		option := options[0]
		options = options[1:]
		value, isDirectory := strings.CutPrefix(option, directoryOption)
		names, isOwn := strings.CutPrefix(option, ownOption)
		switch {
		case isOwn:
			own = strings.Split(names, ",")
		case isDirectory && value != "":
			directory = value
		case isDirectory:
			return "", nil, nil, errors.New("exec: --working-directory= names no directory")
		case option == "--" && len(options) == 0:
			return "", nil, nil, errors.New("exec: no interpreter follows the --")
		case option == "--":
			return directory, own, append(append([]string{}, options...), command), nil
		default:
			return "", nil, nil, fmt.Errorf("exec: unknown option %q; see entrypoint exec --help", option)
		}
	}

	argv, err = split(command)
	if err != nil {
		return "", nil, nil, fmt.Errorf("split the command into words: %w", err)
	}
	if len(argv) == 0 {
		return "", nil, nil, &exitError{notFound, "the command is empty, so there is nothing to run"}
	}

	return directory, own, argv, nil
}

func change(directory string) error {
	if err := os.Chdir(directory); err != nil {
		return fmt.Errorf("change to the container's workingDir: %w; it must be in the image, on a volume or in the checkout", err)
	}
	// A shell trusts PWD if it names the current directory, and so shows it.
	if current, err := os.Getwd(); err == nil {
		os.Setenv("PWD", current)
	}

	return nil
}

// explain turns the error of an exec into a sentence.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return &exitError{notExecutable, fmt.Sprintf(
			"%s: exec format error; it is a program for another architecture than this node's (%s), or a script without a #! line",
			path, runtime.GOARCH)}
	case errors.Is(err, syscall.ENOENT):
		return &exitError{notFound, path + ": the interpreter or loader that it names does not exist in this container's image"}
	case errors.Is(err, syscall.E2BIG):
		return &exitError{notExecutable, path + ": the command or the environment is too long for Linux (131071 bytes for one argument or variable)"}
	default:
		return &exitError{notExecutable, fmt.Sprintf("%s: %v", path, err)}
	}
}

package install

import (
	"fmt"
	"io"
	"os"
)

const usage = `Usage: entrypoint install PATH

Copy this program to PATH, executable by every user. It is written under another
name in the same directory and renamed, so PATH never holds half a program; one
that is there is replaced.

Exit status: 0, or 1 if the copy could not be made.
`

// Main is the install subcommand. It returns the exit status.
func Main(arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 1 && (arguments[0] == "--help" || arguments[0] == "-h") {
		fmt.Fprint(stdout, usage)

		return 0
	}
	if len(arguments) != 1 {
		fmt.Fprintf(stderr, "entrypoint install: want one argument, the path to install to, got %d\n\n%s", len(arguments), usage)

		return 1
	}
	self, err := os.Executable()
	if err == nil {
		err = Copy(self, arguments[0], true)
	}
	if err != nil {
		fmt.Fprintf(stderr, "entrypoint: %v\n", err)

		return 1
	}

	return 0
}

package build

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// batch is programs that one call of the Go command builds: those whose linker
// flags are the same. -X for a package that a program does not have is ignored.
type batch struct {
	programs []program
	flags    string
}

func (b batch) arguments(directory string) []string {
	arguments := []string{"build", "-v", "-tags", tags, "-ldflags", b.flags, "-o", directory + "/"}
	for _, p := range b.programs {
		arguments = append(arguments, p.pack)
	}
	return arguments
}

// plan fetches the modules that are missing and returns how many packages will
// have to be compiled. note is told what goes on.
func (t tool) plan(ctx context.Context, programs []program, directory string, note func(string)) (int, error) {
	arguments := batch{programs: programs, flags: "-s"}.arguments(directory)
	command := t.command(ctx, append([]string{"build", "-n"}, arguments[1:]...)...)
	packages, fetched := 0, 0
	message, err := eachLine(command, func(line string) bool {
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			fetched++
			note(fmt.Sprintf("%d modules fetched", fetched))
			return true
		case strings.Contains(line, "/compile -o "):
			packages++
			return true
		}
		// Commands that it would run are not messages.
		return !strings.HasPrefix(line, "go: ") && strings.Contains(line, "$WORK")
	})
	if err != nil {
		return 0, t.explain(ctx, err, message)
	}
	return packages, nil
}

// compile builds a batch into directory. note is told what goes on; compiled is
// called for every package.
func (t tool) compile(ctx context.Context, b batch, directory string, compiled func()) error {
	command := t.command(ctx, b.arguments(directory)...)
	command.Env = append(command.Env, "GOTMPDIR="+directory)
	message, err := eachLine(command, func(line string) bool {
		if strings.HasPrefix(line, "go: downloading ") {
			return true
		}
		// -v prints each package as it is compiled. An error has a space in it.
		if strings.ContainsAny(line, " \t") {
			return false
		}
		compiled()
		return true
	})
	if err != nil {
		return t.explain(ctx, err, message)
	}
	return nil
}

// eachLine runs the command and gives every line of its standard error to use,
// which says whether it had a use for it. The others are the message.
func eachLine(command *exec.Cmd, use func(line string) bool) (message string, err error) {
	stderr, err := command.StderrPipe()
	if err != nil {
		return "", fmt.Errorf("run go: %w", err)
	}
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("run go: %w", err)
	}
	var others strings.Builder
	scanner := bufio.NewScanner(stderr)
	scanner.Buffer(nil, 16<<20) // -n prints whole import configurations
	for scanner.Scan() {
		if !use(scanner.Text()) {
			others.WriteString(scanner.Text() + "\n")
		}
	}
	if err := scanner.Err(); err != nil {
		others.WriteString(err.Error())
	}
	return others.String(), command.Wait() //nolint:wrapcheck // explain needs it bare
}

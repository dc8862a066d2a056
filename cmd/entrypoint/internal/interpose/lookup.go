package interpose

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// defaultPath is searched where the environment has no PATH, as container
// runtimes do.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookup finds a program as execvp would: a name with a slash is a path, any
// other is searched for in PATH. Relative to the current directory, which is the
// container's working directory by then.
func lookup(name string) (string, error) {
	if name == "" {
		return "", &exitError{notFound, "the command's first word is empty, so there is nothing to run"}
	}
	if strings.Contains(name, "/") {
		return name, executable(name)
	}

	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = defaultPath
	}
	var denied error
	for _, directory := range filepath.SplitList(path) {
		// An empty element of PATH is the current directory.
		candidate := filepath.Join(directory, name)
		if directory == "" || directory == "." {
			candidate = "./" + name
		}
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		var exit *exitError
		if errors.As(err, &exit) && exit.status == notExecutable && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}

	return "", &exitError{notFound, fmt.Sprintf(
		"%s: command not found in PATH (%s); is it in this container's image?", name, path)}
}

// executable returns why the file cannot be run, or nil.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &exitError{notFound, path + ": no such file; is it in this container's image?"}
	case err != nil:
		return &exitError{notExecutable, err.Error()}
	case info.IsDir():
		return &exitError{notExecutable, path + ": is a directory, not a program"}
	case info.Mode()&0o111 == 0:
		return &exitError{notExecutable, fmt.Sprintf(
			"%s: not executable (its mode is %v); chmod +x it in the image, or run it with an interpreter", path, info.Mode())}
	default:
		return nil
	}
}

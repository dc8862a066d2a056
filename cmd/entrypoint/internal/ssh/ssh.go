//go:build linux

// Package ssh makes an SSH directory of the SSH_… variables that a Secret brings
// into a container, as each wrapped container's own user: OpenSSH takes a private
// key only from its owner, and the containers of a pod may run as several.
//
// What is in the directory was perhaps put there by an earlier container, so
// nothing is written through a link, and no name there is trusted to be a file.
// A failure here is never the job's: most repositories need no key.
package ssh

import (
	"fmt"
	"slices"
	"strings"
)

// Options say where the files go.
type Options struct {
	// Directory is the SSH directory. The one above it must exist.
	Directory string
	// Private keeps other users out of the directory: no later container uses it.
	Private bool
	// Link makes the home directories' .ssh point to the directory, and unsets the
	// variables, as suits a container whose only use for SSH is to clone.
	Link bool
	// Home is HOME. Passwd is the path of the user database, where OpenSSH looks
	// for the home directory. UID is the user's. Only Link asks for them.
	Home   string
	Passwd string
	UID    int
}

// Result is what came of it.
type Result struct {
	// Environment is the environment to go on with.
	Environment []string
	// Problems are sentences for the pipeline's author. None holds a value.
	Problems []string
	// Notes are sentences for whoever looks for the cause of a failed clone.
	Notes []string
}

// Wanted says whether the environment has any variable that asks for a file.
func Wanted(environment []string) bool { return !read(environment).empty() }

// SetUp writes the files that the environment's variables ask for. Without any
// such variable it does nothing.
func SetUp(environment []string, options Options) Result {
	result := Result{Environment: environment}
	wanted := read(environment)
	if wanted.empty() {
		return result
	}
	result.Problems, result.Notes = wanted.problems, wanted.notes

	directory, err := open(options.Directory, options.Private)
	if err != nil {
		result.problemf("The SSH directory cannot be made: %v.", err)

		return result
	}
	defer directory.Close()
	if err := directory.write(wanted); err != nil {
		result.problemf("The SSH directory is incomplete: %v.", err)
	}
	if !options.Link {
		return result
	}

	result.Environment = unset(result.Environment)
	result.link(directory, options)

	return result
}

func (r *Result) problemf(format string, arguments ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, arguments...))
}

// unset takes the variables out, so that no hook and no command prints them.
func unset(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")

		return slices.Contains(names, name)
	})
}

// lookup returns a variable's value, the last one if there are several.
func lookup(environment []string, name string) string {
	for _, variable := range slices.Backward(environment) {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}

	return ""
}

package mutator

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxStringBytes is Linux' MAX_ARG_STRLEN: with a longer argument or variable
	// a container is admitted, and then fails with "argument list too long". It
	// counts a final zero byte, and of a variable the name and the equals sign.
	maxStringBytes = 128 << 10
	// maxPathBytes is Linux' PATH_MAX, which counts a final zero byte.
	maxPathBytes = 4096
)

// checkSize refuses a variable of 128 KiB or more.
func (r *reading) checkSize(path *field.Path, name, value string) {
	r.checkBytes(path, len(name)+len("=")+len(value)+1)
}

// checkCommandSize refuses a command with an argument of 128 KiB or more, and
// one that has as much in all: the agent takes it as one variable. Values that
// Kubernetes puts into it later are not counted; the entrypoint meets those.
func (r *reading) checkCommandSize(container *corev1.Container, path *field.Path, interposer Interposer) {
	before := len(r.errs)
	for i, word := range container.Command {
		r.checkBytes(path.Child("command").Index(i), len(word)+1)
	}
	for i, word := range container.Args {
		r.checkBytes(path.Child("args").Index(i), len(word)+1)
	}
	if len(r.errs) > before {
		return
	}
	list := "command"
	if len(container.Command) == 0 {
		list = "args"
	}
	r.checkBytes(path.Child(list), len(commandVariable)+len("=")+interposer.scriptSize(container.Command, container.Args)+1)
}

func (r *reading) checkBytes(path *field.Path, size int) {
	if size > maxStringBytes {
		r.refuse(invalid(path, "%d bytes; a program takes less than %d at once: put the text into a file, such as a ConfigMap's",
			size, maxStringBytes))
	}
}

// checkWorkingDirectory refuses what no directory can be called.
func (r *reading) checkWorkingDirectory(path *field.Path, directory string) {
	if size := len(directory) + 1; size > maxPathBytes {
		r.refuse(invalid(path, "%d bytes; a path has less than %d", size, maxPathBytes))
	}
}

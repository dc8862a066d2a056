package render

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// source is a file's text.
type source struct {
	// name is for messages.
	name string
	text []byte
}

// extensions are those of the files in a directory that are read, as kubectl
// reads them.
var extensions = []string{".json", ".yaml", ".yml"}

// sources reads the file, standard input, or the files of the directory in the
// order of their names.
func (r *renderer) sources(stdin io.Reader) ([]source, error) {
	name := r.options.file
	if name == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}

		return []source{{name, text}}, nil
	}
	// A named file need not have any of the extensions.
	names := []string{name}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if names, err = filesIn(name); err != nil {
			return nil, err
		}
	}
	var sources []source
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source{name, text})
	}

	return sources, nil
}

// filesIn lists a directory's files, without those of directories in it.
func filesIn(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains(extensions, filepath.Ext(entry.Name())) {
			names = append(names, filepath.Join(directory, entry.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no file in it ends in .json, .yaml or .yml", directory)
	}

	return names, nil
}

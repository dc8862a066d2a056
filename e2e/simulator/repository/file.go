package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Modes of files in Git.
const (
	regular    = "100644"
	executable = "100755"
)

// File is a file of a repository.
type File struct {
	Content string `json:"content"`
	// Mode is "100644" or "100755". Empty is the latter for what begins with #!,
	// because that is a hook or a script.
	Mode string `json:"mode,omitempty"`
}

// UnmarshalJSON takes the content alone as well: {"README.md": "text"}.
func (f *File) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &f.Content); err == nil {
		return nil
	}
	type plain File // without this method
	return json.Unmarshal(data, (*plain)(f))
}

func (f File) mode() string {
	switch {
	case f.Mode != "":
		return f.Mode
	case strings.HasPrefix(f.Content, "#!"):
		return executable
	default:
		return regular
	}
}

func validate(files map[string]File) error {
	if len(files) == 0 {
		return errors.New("there are no files")
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		segments := strings.Split(name, "/")
		wrong := name == "" || path.Clean(name) != name || path.IsAbs(name) || segments[0] == ".." ||
			slices.ContainsFunc(segments, func(segment string) bool { return strings.EqualFold(segment, ".git") }) ||
			strings.ContainsAny(name, "\n\"\\\x00")
		if wrong {
			return fmt.Errorf("file %q: want a plain path below the repository", name)
		}
		if mode := files[name].mode(); mode != regular && mode != executable {
			return fmt.Errorf("file %q: mode %q: want %s or %s", name, mode, regular, executable)
		}
	}
	return nil
}

// stream returns what git fast-import reads: one commit with exactly these files.
func stream(ref, parent string, files map[string]File) []byte {
	var out bytes.Buffer
	const message = "Add files\n"
	fmt.Fprintf(&out, "commit %s\ncommitter Simulator <simulator@example.com> %d +0000\ndata %d\n%s\n",
		ref, time.Now().Unix(), len(message), message)
	if parent != "" {
		fmt.Fprintf(&out, "from %s\n", parent)
	}
	out.WriteString("deleteall\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		fmt.Fprintf(&out, "M %s inline %s\ndata %d\n%s\n", file.mode(), name, len(file.Content), file.Content)
	}
	out.WriteString("\n")
	return out.Bytes()
}

// ReadDirectory returns the regular files below directory, except Git's own.
func ReadDirectory(directory string) (map[string]File, error) {
	files := map[string]File{}
	err := filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := regular
		if info.Mode()&0o111 != 0 {
			mode = executable
		}
		relative, err := filepath.Rel(directory, name)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(relative)] = File{Content: string(content), Mode: mode}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", directory, err)
	}
	return files, nil
}

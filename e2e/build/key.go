package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inputs is what decides what a program is, beside its sources.
type inputs struct {
	goVersion string
	platform  string // "linux/amd64"
	modules   []byte // the go.mod and go.sum files that pick the dependencies
	flags     string // of the linker
}

// source is one file that a program is compiled from.
type source struct {
	name string // the same in every checkout
	path string
}

// key returns 16 hexadecimal digits that differ whenever the program may. module
// is the e2e module's directory, asked what the Go command answered about the
// sources, for a program that does not declare them.
func (p program) key(in inputs, module string, asked []source) (string, error) {
	sources := slices.Clone(asked)
	if p.sources != nil {
		var err error
		if sources, err = p.declared(module); err != nil {
			return "", err
		}
	}
	hash := sha256.New()
	// Lengths keep one field's end from passing for the next one's beginning.
	field := func(content []byte) { fmt.Fprintf(hash, "%d\n%s\n", len(content), content) }
	for _, text := range []string{"1", p.name, p.pack, in.goVersion, in.platform, string(in.modules), in.flags, tags, strings.Join(environment, " ")} {
		field([]byte(text))
	}
	slices.SortFunc(sources, func(a, b source) int { return strings.Compare(a.name, b.name) })
	for _, file := range sources {
		content, err := os.ReadFile(file.path)
		if err != nil {
			return "", fmt.Errorf("hash sources of %s: %w", p.name, err)
		}
		field([]byte(file.name))
		field(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// viewKey names the set of all programs by their keys.
func viewKey(keys map[string]string) string {
	hash := sha256.New()
	for _, p := range programs {
		_, _ = io.WriteString(hash, p.name+" "+keys[p.name]+"\n")
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// declared returns the sources below the e2e module that a program names itself.
func (p program) declared(module string) ([]source, error) {
	var sources []source
	for _, directory := range p.sources {
		err := filepath.WalkDir(filepath.Join(module, directory), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.Type().IsRegular() && !strings.HasSuffix(path, "_test.go") {
				relative, err := filepath.Rel(module, path)
				if err != nil {
					return err
				}
				sources = append(sources, source{name: filepath.ToSlash(relative), path: path})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("find sources of %s: %w", p.name, err)
		}
	}
	return sources, nil
}

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// listed is what the Go command tells about a package.
type listed struct {
	ImportPath string   `json:"ImportPath"`
	Dir        string   `json:"Dir"`
	GoFiles    []string `json:"GoFiles"`
	EmbedFiles []string `json:"EmbedFiles"`
	Deps       []string `json:"Deps"`
	Match      []string `json:"Match"` // the arguments that this package answers
	Module     *struct {
		Main    bool `json:"Main"`
		Replace *struct {
			Version string `json:"Version"`
		} `json:"Replace"`
	} `json:"Module"`
}

// local tells whether the package lies in this checkout.
func (l listed) local() bool {
	return l.Module != nil && (l.Module.Main || l.Module.Replace != nil && l.Module.Replace.Version == "")
}

// list returns, by program name, the sources in this checkout that the programs
// are compiled from. A program that does not compile has an incomplete list;
// that is for the compiler to say.
func list(ctx context.Context, t tool, chosen []program) (map[string][]source, error) {
	if len(chosen) == 0 {
		return map[string][]source{}, nil
	}
	arguments := []string{"list", "-e", "-deps", "-tags", tags, "-json=ImportPath,Dir,GoFiles,EmbedFiles,Deps,Match,Module"}
	for _, p := range chosen {
		arguments = append(arguments, p.pack)
	}
	// Our own packages are found without the modules they import, which may not be
	// here yet: fetching those is a step of the build that shows how far it is.
	command := t.command(ctx, arguments...)
	command.Env = append(command.Env, "GOPROXY=off")
	output, err := t.capture(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("list the packages of this repository: %w", err)
	}
	packages, roots := map[string]listed{}, map[string]listed{}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what go list answered: %w", err)
		}
		packages[l.ImportPath] = l
		for _, match := range l.Match {
			roots[match] = l
		}
	}
	sources := map[string][]source{}
	for _, p := range chosen {
		root := roots[p.pack]
		for _, path := range append(root.Deps, root.ImportPath) {
			if l := packages[path]; l.local() {
				sources[p.name] = append(sources[p.name], l.sources()...)
			}
		}
	}
	return sources, nil
}

func (l listed) sources() []source {
	var sources []source
	for _, file := range append(l.GoFiles, l.EmbedFiles...) {
		sources = append(sources, source{name: l.ImportPath + "/" + filepath.ToSlash(file), path: filepath.Join(l.Dir, file)})
	}
	return sources
}

package build

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Builder is what one call of Build needs to know.
type Builder struct {
	tool     tool
	store    store
	Progress Progress // may be set anew before Build
	chosen   []program
	keys     map[string]string // of all programs, by name
	release  string            // linker flags of the released modules' programs
	product  string            // and of the product's
}

// Prepare finds out what is wanted and under which keys. It compiles and fetches
// nothing, and fails where there is no checkout or no usable Go.
func Prepare(ctx context.Context, options Options) (*Builder, error) {
	b := &Builder{Progress: options.Progress}
	if b.Progress == nil {
		b.Progress = Silence
	}
	if len(options.Groups) == 0 {
		options.Groups = Groups()
	}
	var err error
	if b.chosen, err = choose(options.Groups); err != nil {
		return nil, err
	}
	module, err := findModule(options.Directory)
	if err != nil {
		return nil, err
	}
	if b.tool, err = findTool(ctx, module); err != nil {
		return nil, err
	}
	b.store.directory, b.store.kept = options.Cache, cmp.Or(options.Kept, 12)
	if options.Cache == "" {
		if b.store.directory, err = DefaultCache(); err != nil {
			return nil, err
		}
	}
	if err := b.computeKeys(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// computeKeys gives every program its key, also those that were not asked for:
// together they name the directory.
func (b *Builder) computeKeys(ctx context.Context) error {
	module := b.tool.directory
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return fmt.Errorf("read the e2e module: %w", err)
	}
	modules := [][]byte{goMod}
	for _, name := range []string{"go.sum", "../go.mod", "zzglob/go.mod"} {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return fmt.Errorf("read the e2e module: %w", err)
		}
		modules = append(modules, text)
	}
	if b.release, err = releaseFlags(goMod); err != nil {
		return err
	}
	b.product = productFlags(Version(ctx, module))
	var asked []program
	for _, p := range programs {
		if p.sources == nil {
			asked = append(asked, p)
		}
	}
	sources, err := list(ctx, b.tool, asked)
	if err != nil {
		return err
	}
	b.keys = map[string]string{}
	for _, p := range programs {
		in := inputs{goVersion: b.tool.Version, platform: b.tool.System + "/" + b.tool.Architecture, modules: bytes.Join(modules, []byte{0}), flags: b.flags(p)}
		key, err := p.key(in, module, sources[p.name])
		// A program that nobody asked for may be in any state.
		if err != nil && slices.Contains(namesOf(b.chosen), p.name) {
			return err
		}
		b.keys[p.name] = key
	}
	return nil
}

func (b *Builder) flags(p program) string {
	switch {
	case p.stamped:
		return b.product
	case p.sources == nil:
		return plainFlags
	default:
		return b.release
	}
}

// Version is what this checkout calls itself: git's description of it without the
// "v", "0.0.0-" and the commit before the first release, or "0.0.0" without git.
func Version(ctx context.Context, directory string) string {
	command := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty", "--match", "v[0-9]*")
	command.Dir = directory
	output, err := command.Output()
	version := strings.TrimSpace(string(output))
	switch {
	case err != nil || version == "":
		return "0.0.0"
	case strings.HasPrefix(version, "v"):
		return version[1:]
	default: // no release yet: a commit
		return "0.0.0-" + version
	}
}

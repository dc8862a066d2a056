// Package zzglob stands in for drjosh.dev/zzglob, the one dependency of the
// Buildkite agent that the Go module proxy does not serve. It offers exactly
// what the agent calls, for artifact uploads, if_changed and cache keys.
//
// Patterns are those of doublestar: `*` and `?` stay within a path segment,
// `**` as a whole segment spans any number of them, with `[a-z]`, `{a,b}` and
// backslash escapes. Files whose names begin with a dot match like others.
package zzglob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Pattern is a parsed glob. The zero value matches nothing; use Parse.
type Pattern struct {
	text  string // the whole pattern, cleaned, with forward slashes
	root  string // the directory or, in a literal pattern, the file it begins at
	tail  string // what is matched below root; empty in a literal pattern
	depth int    // how far below root a match can lie; negative: any distance
}

// ParseOption changes how a pattern is read.
type ParseOption func(*parser)

type parser struct{ expandTilde bool }

// ExpandTilde sets whether a leading `~` segment means the home directory.
// Default true.
func ExpandTilde(enabled bool) ParseOption {
	return func(p *parser) { p.expandTilde = enabled }
}

// Parse reads a pattern. It fails on malformed syntax, and on a `~` of a user
// without a home directory.
func Parse(pattern string, options ...ParseOption) (*Pattern, error) {
	p := parser{expandTilde: true}
	for _, option := range options {
		option(&p)
	}
	text := filepath.ToSlash(pattern)
	if text == "" || !doublestar.ValidatePattern(text) {
		return nil, fmt.Errorf("parse glob %q: %w", pattern, doublestar.ErrBadPattern)
	}
	if p.expandTilde && (text == "~" || strings.HasPrefix(text, "~/")) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("expand ~ in glob %q: %w", pattern, err)
		}
		text = escape.Replace(filepath.ToSlash(home)) + text[1:]
	}
	return split(path.Clean(text)), nil
}

// escape keeps special characters in a home directory's path from globbing.
var escape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `{`, `\{`)

func split(text string) *Pattern {
	// Only a pattern without special characters is all root once a star follows.
	if literal, rest := doublestar.SplitPattern(text + "/*"); rest == "*" {
		return &Pattern{text: text, root: literal}
	}
	root, tail := doublestar.SplitPattern(text)
	depth := strings.Count(tail, "/") + 1
	if strings.Contains(tail, "**") {
		depth = -1
	}
	return &Pattern{text: text, root: root, tail: tail, depth: depth}
}

// Match tells whether the path as a whole matches. It looks at no file.
func (p *Pattern) Match(name string) bool {
	return p.text != "" && doublestar.MatchUnvalidated(p.text, filepath.ToSlash(name))
}

// GlobOption changes how files are looked for.
type GlobOption func(*walker)

// WalkIntermediateDirs sets whether the callback also sees the directories on
// the way that do not match themselves. Default false.
func WalkIntermediateDirs(enabled bool) GlobOption {
	return func(w *walker) { w.intermediate = enabled }
}

// TraverseSymlinks sets whether a link to a directory is entered when a special
// character matched it. Links that the pattern spells out always are. Default true.
func TraverseSymlinks(enabled bool) GlobOption {
	return func(w *walker) { w.symlinks = enabled }
}

// Glob calls visit for every existing path that matches, in lexical order within
// a directory. A path that cannot be read, a missing root among them, is given to
// visit with its error, as fs.WalkDir does; visit may return fs.SkipDir and
// fs.SkipAll. The first other error of visit ends the walk and is returned.
func (p *Pattern) Glob(visit fs.WalkDirFunc, options ...GlobOption) error {
	return MultiGlob(context.Background(), []*Pattern{p}, visit, options...)
}

// MultiGlob is Glob for several patterns, one after the other; a path that
// several of them match is visited several times. It ends early with ctx's error.
func MultiGlob(ctx context.Context, patterns []*Pattern, visit fs.WalkDirFunc, options ...GlobOption) error {
	for _, pattern := range patterns {
		w := walker{Pattern: pattern, visit: visit, symlinks: true}
		for _, option := range options {
			option(&w)
		}
		if err := w.walk(ctx); errors.Is(err, fs.SkipAll) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

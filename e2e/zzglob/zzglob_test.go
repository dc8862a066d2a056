package zzglob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	for name, pattern := range map[string]string{
		"empty":              "",
		"unclosed class":     "bar/**/[asdf[[[[asdf",
		"unclosed brace":     "a/{b,c",
		"trailing backslash": `a\`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(pattern); err == nil {
				t.Errorf("Parse(%q) succeeded", pattern)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	t.Setenv("HOME", "/home/a*b")
	cases := map[string]struct {
		pattern string
		options []ParseOption
		yes, no []string
	}{
		"star":             {pattern: "*.txt", yes: []string{"a.txt", ".txt"}, no: []string{"d/a.txt", "a.txt.gz"}},
		"any depth":        {pattern: "**/*.txt", yes: []string{"a.txt", "d/a.txt", "d/e/a.txt"}, no: []string{"d/a.md"}},
		"everything":       {pattern: "**", yes: []string{"a", "d/e/a"}},
		"below":            {pattern: "foo/**", yes: []string{"foo/a", "foo/b/c"}, no: []string{"bar/a", "food/a"}},
		"braces":           {pattern: "{lib,cmd/x}/*.{go,md}", yes: []string{"lib/a.go", "cmd/x/a.md"}, no: []string{"cmd/a.go", "lib/a.c"}},
		"class":            {pattern: "v[0-9]?", yes: []string{"v1a"}, no: []string{"va1", "v1"}},
		"escape":           {pattern: `a\*b`, yes: []string{"a*b"}, no: []string{"axb"}},
		"current dir":      {pattern: "./a/*.txt", yes: []string{"a/b.txt"}},
		"absolute":         {pattern: "/tmp/*", yes: []string{"/tmp/a"}, no: []string{"tmp/a"}},
		"home":             {pattern: "~/*.txt", yes: []string{"/home/a*b/x.txt"}, no: []string{"~/x.txt", "/home/aab/x.txt"}},
		"tilde kept":       {pattern: "~/*.txt", options: []ParseOption{ExpandTilde(false)}, yes: []string{"~/x.txt"}, no: []string{"/home/a*b/x.txt"}},
		"tilde in a name":  {pattern: "a~/*", yes: []string{"a~/x"}},
		"other user's dir": {pattern: "~bob/*", yes: []string{"~bob/x"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pattern, err := Parse(tc.pattern, tc.options...)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range tc.yes {
				if !pattern.Match(path) {
					t.Errorf("%q does not match %q", tc.pattern, path)
				}
			}
			for _, path := range tc.no {
				if pattern.Match(path) {
					t.Errorf("%q matches %q", tc.pattern, path)
				}
			}
		})
	}
}

// tree changes to a new directory with files, a link into another directory, a
// link to a file and a link that leads back up.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"a.txt", "d/b.txt", "d/e/c.txt", "d/e/c.md", ".hidden/h.txt", "~/t.txt", "target/deep/l.txt"} {
		write(t, filepath.Join(root, name))
	}
	for link, target := range map[string]string{"d/link": "../target", "d/file": "../a.txt", "target/up": ".."} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	return root
}

func write(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGlob(t *testing.T) {
	root := tree(t)
	t.Setenv("HOME", filepath.Join(root, "d"))
	cases := map[string]struct {
		pattern string
		parse   []ParseOption
		options []GlobOption
		want    []string
	}{
		"one level":            {pattern: "*.txt", want: []string{"a.txt"}},
		"literal":              {pattern: "./d/e/c.md", want: []string{"d/e/c.md"}},
		"directories match":    {pattern: "d/*", want: []string{"d/b.txt", "d/e", "d/file", "d/link"}},
		"any depth, no links":  {pattern: "**/*.txt", options: []GlobOption{TraverseSymlinks(false)}, want: []string{".hidden/h.txt", "a.txt", "d/b.txt", "d/e/c.txt", "target/deep/l.txt", "~/t.txt"}},
		"links, without loops": {pattern: "d/**/*.txt", want: []string{"d/b.txt", "d/e/c.txt", "d/link/deep/l.txt", "d/link/up/.hidden/h.txt", "d/link/up/a.txt", "d/link/up/~/t.txt"}},
		"spelled-out link":     {pattern: "d/link/*/*.txt", options: []GlobOption{TraverseSymlinks(false)}, want: []string{"d/link/deep/l.txt"}},
		"braces with slashes":  {pattern: "{d/e,target/deep}/*.txt", want: []string{"d/e/c.txt", "target/deep/l.txt"}},
		"home":                 {pattern: "~/e/*.txt", want: []string{filepath.Join(root, "d/e/c.txt")}},
		"tilde kept":           {pattern: "~/*.txt", parse: []ParseOption{ExpandTilde(false)}, want: []string{"~/t.txt"}},
		"absolute":             {pattern: root + "/*.txt", want: []string{filepath.Join(root, "a.txt")}},
		"nothing":              {pattern: "d/*.jpg", want: nil},
		"intermediate":         {pattern: "d/*/*.md", options: []GlobOption{WalkIntermediateDirs(true), TraverseSymlinks(false)}, want: []string{"d", "d/e", "d/e/c.md"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pattern, err := Parse(tc.pattern, tc.parse...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			err = pattern.Glob(func(path string, entry fs.DirEntry, err error) error {
				if entry == nil {
					t.Errorf("%s: no entry", path)
				}
				got = append(got, path)
				return err
			}, tc.options...)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Sort(got); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestGlobReportsWhatIsMissing(t *testing.T) {
	tree(t)
	for _, text := range []string{"none/*.txt", "none.txt"} {
		pattern, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = pattern.Glob(func(_ string, _ fs.DirEntry, err error) error { return err })
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want not-exist", text, err)
		}
	}
}

func TestMultiGlobEndsEarly(t *testing.T) {
	tree(t)
	var patterns []*Pattern
	for _, text := range []string{"**/*.txt", "d/*"} {
		pattern, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, pattern)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	stop := errors.New("stop")
	cases := map[string]struct {
		ctx    context.Context
		answer error
		want   error
		visits int
	}{
		"canceled":       {ctx: canceled, want: context.Canceled},
		"error":          {ctx: t.Context(), answer: stop, want: stop, visits: 1},
		"skip all":       {ctx: t.Context(), answer: fs.SkipAll, visits: 1},
		"skip directory": {ctx: t.Context(), answer: fs.SkipDir, visits: 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			visits := 0
			err := MultiGlob(tc.ctx, patterns, func(string, fs.DirEntry, error) error {
				visits++
				return tc.answer
			}, TraverseSymlinks(false))
			if !errors.Is(err, tc.want) || visits != tc.visits {
				t.Errorf("got %v after %d visits, want %v after %d", err, visits, tc.want, tc.visits)
			}
		})
	}
}

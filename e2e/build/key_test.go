package build

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout writes a small clone: an e2e module with a program that imports a
// package of the root module, which embeds a file.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                       "module " + productModule + "\n\ngo 1.26.0\n",
		"greeting/greeting.go":         "package greeting\n\nimport _ \"embed\"\n\n//go:embed text\nvar Text string\n",
		"greeting/greeting_test.go":    "package greeting\n",
		"greeting/text":                "hello",
		"unused/unused.go":             "package unused\n",
		"cmd/dispatcher/main.go":       "package main\n\nimport \"" + productModule + "/greeting\"\n\nvar version string\n\nfunc main() { print(greeting.Text, \" \", version) }\n",
		"e2e/go.mod":                   "module " + productModule + "/e2e\n\ngo 1.26.0\n\nrequire " + productModule + " v0.0.0\n\nrequire k8s.io/kubernetes v1.37.2\n\nreplace " + productModule + " => ../\n\nreplace k8s.io/kubernetes => ./kubernetes\n",
		"e2e/kubernetes/go.mod":        "module k8s.io/kubernetes\n\ngo 1.26.0\n",
		"e2e/go.sum":                   "",
		"e2e/zzglob/go.mod":            "module drjosh.dev/zzglob\n\ngo 1.26.0\n",
		"e2e/zzglob/zzglob.go":         "package zzglob\n",
		"e2e/cmd/hello/main.go":        "package main\n\nfunc main() { print(\"hello\") }\n",
		"e2e/cmd/kubernetes/main.go":   "package main\n\nfunc main() {}\n",
		"e2e/cmd/cert-manager/main.go": "package main\n\nfunc main() {}\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func prepare(t *testing.T, root, cache string, targets ...Group) *Builder {
	t.Helper()
	b, err := Prepare(t.Context(), Options{Directory: root, Cache: cache, Groups: targets})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeysFollowTheSources(t *testing.T) {
	const all = "*"
	cases := map[string]struct {
		file, text string
		changed    string // names of programs
	}{
		"nothing":                       {},
		"a package it imports":          {file: "greeting/greeting.go", text: "package greeting\n\nconst Text = \"\"\n", changed: "dispatcher"},
		"an embedded file":              {file: "greeting/text", text: "good morning", changed: "dispatcher"},
		"a test":                        {file: "greeting/greeting_test.go", text: "package greeting // changed\n"},
		"a package nobody imports":      {file: "unused/unused.go", text: "package unused // changed\n"},
		"a program":                     {file: "e2e/cmd/hello/main.go", text: "package main\n\nfunc main() {}\n", changed: "hello"},
		"a program that does not parse": {file: "e2e/cmd/hello/main.go", text: "packag", changed: "hello"},
		"declared sources":              {file: "e2e/cmd/kubernetes/main.go", text: "package main\n", changed: "kubernetes"},
		"a package of the agent's":      {file: "e2e/zzglob/zzglob.go", text: "package zzglob // changed\n", changed: "buildkite-agent"},
		"pinned checksums":              {file: "e2e/go.sum", text: "\n", changed: all},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			root := checkout(t)
			before := prepare(t, root, t.TempDir(), "dispatcher")
			if tc.file != "" {
				write(t, filepath.Join(root, tc.file), tc.text)
			}
			after := prepare(t, root, t.TempDir(), "dispatcher")
			for program, key := range before.keys {
				want := tc.changed == all || tc.changed == program
				if got := after.keys[program] != key; got != want {
					t.Errorf("key of %s changed: %t, want %t", program, got, want)
				}
			}
		})
	}
}

func TestKeysAreTheSameInEveryCheckout(t *testing.T) {
	one, other := prepare(t, checkout(t), t.TempDir()), prepare(t, checkout(t), t.TempDir())
	if !maps.Equal(one.keys, other.keys) {
		t.Errorf("got %v and %v", one.keys, other.keys)
	}
}

func TestKeysFollowWhatElseDecides(t *testing.T) {
	p := program{name: "hello", pack: "./cmd/hello"}
	file := source{name: "main.go", path: filepath.Join(t.TempDir(), "main.go")}
	write(t, file.path, "package main\n")
	base := inputs{goVersion: "go1.26.8", platform: "linux/amd64", modules: []byte("module m"), flags: "-s"}
	keys := map[string]string{}
	for name, change := range map[string]func(*inputs){
		"nothing":    func(*inputs) {},
		"go version": func(in *inputs) { in.goVersion = "go1.26.9" },
		"platform":   func(in *inputs) { in.platform = "linux/arm64" },
		"modules":    func(in *inputs) { in.modules = []byte("module n") },
		"flags":      func(in *inputs) { in.flags = "-s -w" },
		// The end of one field is not the beginning of the next.
		"border": func(in *inputs) { in.goVersion, in.platform = "go1.26.8l", "inux/amd64" },
	} {
		in := base
		change(&in)
		key, err := p.key(in, "", []source{file})
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s have the same key", name, other)
		}
		keys[key] = name
	}
}

func TestMissingSourcesMatterOnlyToWhoAsks(t *testing.T) {
	root := checkout(t)
	if err := os.RemoveAll(filepath.Join(root, "e2e/cmd/kubernetes")); err != nil {
		t.Fatal(err)
	}
	prepare(t, root, t.TempDir(), "hello")
	_, err := Prepare(t.Context(), Options{Directory: root, Cache: t.TempDir(), Groups: []Group{"kubernetes"}})
	if err == nil || !strings.Contains(err.Error(), "find sources of kubernetes") {
		t.Errorf("got error %v", err)
	}
}

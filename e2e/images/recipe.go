package images

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Names of the images.
const (
	Agent      = "agent"      // Debian with git, ssh, tini and the Buildkite agent
	Shell      = "shell"      // busybox, with a shell and its applets
	NoShell    = "no-shell"   // one static program, e2e/cmd/hello, and nothing else
	Git        = "git"        // Debian with git, ssh, sshd and some users, run as one of them
	Simulator  = "simulator"  // Debian with git and the Buildkite simulator
	Entrypoint = "entrypoint" // the product's
	Mutator    = "mutator"
	Dispatcher = "dispatcher"
)

// Names returns all images.
func Names() []string {
	return []string{Agent, Shell, NoShell, Git, Simulator, Entrypoint, Mutator, Dispatcher}
}

const (
	searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// nobody is the user of images whose program needs no rights at all.
	nobody = "65532:65532"
)

// recipe is what an image is made from.
type recipe struct {
	name  string
	title string
	// base names what lies below; empty: nothing.
	base string
	// programs of package build go to these paths.
	programs map[string]string
	files    []file
	config   v1.Config
}

var recipes = []recipe{
	{
		name:     Agent,
		title:    "Buildkite agent",
		base:     debianBase,
		programs: map[string]string{"buildkite-agent": "usr/local/bin/buildkite-agent"},
		files:    agentFiles,
		config: v1.Config{
			// As in the agent's published images.
			Env:        []string{searchPath, "BUILDKITE_AGENT_CONFIG=/buildkite/buildkite-agent.cfg"},
			Entrypoint: []string{"buildkite-agent-entrypoint"},
			Cmd:        []string{"start"},
		},
	},
	{
		name:   Shell,
		title:  "busybox",
		base:   busyboxBase,
		config: v1.Config{Env: []string{searchPath}, Cmd: []string{"/bin/sh"}},
	},
	program(NoShell, "A program without a shell", "hello", ""),
	{
		name:   Git,
		title:  "Git with users",
		base:   debianBase,
		files:  userFiles,
		config: v1.Config{User: "1000:1000", Env: []string{searchPath}, Cmd: []string{"/bin/bash"}},
	},
	{
		name:     Simulator,
		title:    "Buildkite simulator",
		base:     debianBase, // it serves repositories with git
		programs: map[string]string{"simulator": "usr/local/bin/simulator"},
		config:   v1.Config{Env: []string{searchPath}, Entrypoint: []string{"/usr/local/bin/simulator"}},
	},
	program(Entrypoint, "agent-stack-k8s entrypoint", "entrypoint", ""),
	program(Mutator, "agent-stack-k8s mutator", "mutator", nobody),
	program(Dispatcher, "agent-stack-k8s dispatcher", "dispatcher", nobody),
}

// program is the recipe of an image that holds one static program at its root.
func program(image, title, name, user string) recipe {
	return recipe{
		name:     image,
		title:    title,
		programs: map[string]string{name: name},
		config:   v1.Config{User: user, Entrypoint: []string{"/" + name}},
	}
}

// userFiles are users of an image in which people work: two with a home, and the
// one that repositories are served as. A password of * lets nobody in by password
// and, unlike an exclamation mark, sshd by key.
var userFiles = []file{
	{name: "etc/passwd", mode: 0o644, content: []byte(`root:x:0:0:root:/root:/bin/bash
_apt:x:42:65534::/nonexistent:/usr/sbin/nologin
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
git:*:990:990:git:/home/git:/bin/bash
builder:*:1000:1000:builder:/home/builder:/bin/bash
tester:*:2000:2000:tester:/home/tester:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`)},
	{name: "home/git", directory: true, mode: 0o755, uid: 990, gid: 990},
	{name: "home/builder", directory: true, mode: 0o755, uid: 1000, gid: 1000},
	{name: "home/tester", directory: true, mode: 0o755, uid: 2000, gid: 2000},
}

// find returns the recipes of the names; without names, all of them.
func find(names []string) ([]recipe, error) {
	if len(names) == 0 {
		names = Names()
	}
	var found []recipe
	for _, name := range names {
		index := slices.IndexFunc(recipes, func(r recipe) bool { return r.name == name })
		if index < 0 {
			return nil, fmt.Errorf("find image %q: no such image; have %s", name, strings.Join(Names(), ", "))
		}
		found = append(found, recipes[index])
	}
	return found, nil
}

// content returns the files of the image's own layer. bin is the directory of
// the built programs.
func (r recipe) content(bin string) []file {
	files := slices.Clone(r.files)
	for name, path := range r.programs {
		files = append(files, file{name: path, mode: 0o755, source: filepath.Join(bin, name)})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files
}

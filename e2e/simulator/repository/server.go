package repository

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Prefix is the path under which repositories are served.
const Prefix = "/git"

// DefaultBranch is where files go unless a request says otherwise.
const DefaultBranch = "main"

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// validBranch is narrower than Git's own rule; it keeps a branch from breaking
// out of the line of the import stream that it is written to.
var validBranch = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$`)

// Server keeps bare repositories in a directory and serves them.
type Server struct {
	root string
	git  string
	// backend is Git's own server program, without the program that would look for it
	// first: each clone asks it five times.
	backend string
	mu      sync.Mutex // one import at a time
}

// New returns a Server of the repositories in root, which must exist. It is an
// error if there is no git on PATH.
func New(root string) (*Server, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git, which serves repositories; install it: %w", err)
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find directory of repositories: %w", err)
	}
	programs, err := exec.Command(git, "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find the programs of Git: %w", err)
	}
	return &Server{root: root, git: git, backend: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend")}, nil
}

// environment keeps the settings of whoever runs the simulator out of it.
func environment(root string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + root,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1",
	}
}

// ServeHTTP serves clones and fetches under Prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := cgi.Handler{
		Path: s.backend, Root: Prefix, Dir: s.root,
		Env: environment(s.root), InheritEnv: []string{"LD_LIBRARY_PATH"},
		// The client gets a status; what else git says, of unknown repositories
		// above all, would be printed into the middle of a test's output.
		Stderr: io.Discard,
	}
	handler.ServeHTTP(w, r)
}

// Commit makes files the whole content of a branch of the repository, which is
// made if need be, and returns the commit's hash. Earlier commits stay.
func (s *Server) Commit(ctx context.Context, name, branch string, files map[string]File) (string, error) {
	if branch == "" {
		branch = DefaultBranch
	}
	if !validName.MatchString(name) {
		return "", fmt.Errorf("repository %q: the name may hold letters, digits, dots, dashes and underscores", name)
	}
	if !validBranch.MatchString(branch) || strings.Contains(branch, "..") {
		return "", fmt.Errorf("branch %q: the name may hold letters, digits, dots, dashes, underscores and slashes", branch)
	}
	if err := validate(files); err != nil {
		return "", fmt.Errorf("repository %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	directory := filepath.Join(s.root, name+".git")
	if err := s.initialize(ctx, directory); err != nil {
		return "", err
	}
	ref := "refs/heads/" + branch
	parent, _ := s.run(ctx, directory, nil, "rev-parse", "--verify", "--quiet", ref) // none yet is fine
	if _, err := s.run(ctx, directory, stream(ref, parent, files), "fast-import", "--quiet", "--force"); err != nil {
		return "", fmt.Errorf("import files into repository %q: %w", name, err)
	}
	return s.run(ctx, directory, nil, "rev-parse", "--verify", ref)
}

func (s *Server) initialize(ctx context.Context, directory string) error {
	if _, err := os.Stat(filepath.Join(directory, "HEAD")); err == nil {
		return nil
	}
	if _, err := s.run(ctx, s.root, nil, "init", "--quiet", "--bare", "--initial-branch", DefaultBranch, directory); err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	// Jobs fetch the commit they are built from by its hash.
	if _, err := s.run(ctx, directory, nil, "config", "uploadpack.allowAnySHA1InWant", "true"); err != nil {
		return fmt.Errorf("configure repository: %w", err)
	}
	return nil
}

func (s *Server) run(ctx context.Context, directory string, input []byte, args ...string) (string, error) {
	command := exec.CommandContext(ctx, s.git, args...)
	command.Dir, command.Env, command.Stdin = directory, environment(s.root), bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(output)), nil
}

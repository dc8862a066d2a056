//go:build linux

package wrapped

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/share"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// shareLimit is how long the workspace may take to be opened to the next users.
const shareLimit = time.Minute

// nextUsers returns the users, other than this one's, of the containers after this
// one. They have all started, or nothing would run.
func (c *container) nextUsers() []int {
	var users []int
	for id := c.options.ID + 1; ; id++ {
		user, err := c.directory.User(id)
		if err != nil {
			return users
		}
		if user != os.Getuid() && !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
}

// severalUsers says whether any other container runs as another user.
func (c *container) severalUsers() bool {
	for id := 0; ; id++ {
		user, err := c.directory.User(id)
		if err != nil {
			return false
		}
		if user != os.Getuid() {
			return true
		}
	}
}

// shareWorkspace lets the containers after this one read and write what this one
// leaves behind. What cannot be opened is theirs to complain about.
func (c *container) shareWorkspace(users []int) {
	if len(users) == 0 {
		return
	}
	options := share.Options{Skip: []string{filepath.Base(contract.SSHPath)}, Limit: shareLimit}
	if relative, err := filepath.Rel(c.options.Workspace, c.options.SSHDirectory); err == nil {
		options.Skip = append(options.Skip, relative)
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		c.sayf("the workspace is not opened to other users: %v", err)

		return
	}
	defer mounts.Close()
	if options.Mounts, err = share.Mounts(mounts); err != nil {
		c.sayf("the workspace is not opened to other users: %v", err)

		return
	}

	begun := time.Now()
	result, err := share.Open(c.options.Workspace, options)
	if err != nil {
		c.sayf("%v", err)

		return
	}
	c.sayf("opened %d of %d files to %s in %.1f s", result.Opened, result.Looked, nameUsers(users), time.Since(begun).Seconds())
	if result.Failed > 0 {
		c.sayf("%d files or directories stay as they are, the first because: %v", result.Failed, result.Failure)
	}
	if result.Cut {
		c.sayf("not all of %s was opened, since that took more than %v", c.options.Workspace, shareLimit)
	}
}

func nameUsers(users []int) string {
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = "user " + strconv.Itoa(user)
	}

	return strings.Join(names, ", ")
}
